//! Input files of one build: scripts, apt's settings, lists of patterns, the recipe's files and commands.

use super::archive::Archive;
use super::{Draft, Options, refused};
use crate::error::{Blocker, Error, Problem};
use crate::images::recipe::{Recipe, Variant};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Where the sandbox shows the work directory, and the cache.
pub const WORK: &str = "/build";
/// The same.
pub const CACHE: &str = "/cache";
/// The root that is built.
pub const ROOT: &str = "/build/root";

const SCRIPTS: [(&str, &str); 3] = [
    ("build.sh", include_str!("build.sh")),
    ("setup.sh", include_str!("setup.sh")),
    ("customize.sh", include_str!("customize.sh")),
];

/// Mount points in the root; the sandbox's own devices, as it names them.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// What no image needs: manuals, translations, logs, caches, and what was there for a moment.
const EXCLUDE: [&str; 18] = [
    "/usr/share/doc/*/*",
    "/usr/share/doc-base/*",
    "/usr/share/info/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/bug/*",
    "/usr/share/gtk-doc/*",
    "/etc/apt/apt.conf.d/*mmdebstrap*",
    "/var/cache/*/*",
    "/var/lib/apt/lists/*",
    "/var/log/*",
    "/tmp/*",
    "/var/tmp/*",
    "/run/*",
    "/root/.cache",
    "/root/.cache/*",
    "/root/.npm*",
];

/// Licences have to come with what they are for. Some packages' scripts fail where the directories of manuals are missing.
const KEEP: [&str; 4] =
    ["/usr/share/doc/*/copyright", "/usr/share/man/man?", "/usr/share/locale/locale.alias", "/run/lock"];

/// One build in its work directory.
pub struct Job<'a> {
    draft: &'a Draft,
    options: &'a Options,
    archive: &'a Archive,
    /// The work directory, absolute.
    pub work: PathBuf,
    /// The archive that comes out.
    pub tar: PathBuf,
}

impl<'a> Job<'a> {
    /// In `work`, which has to be there and to be empty.
    pub fn new(draft: &'a Draft, options: &'a Options, archive: &'a Archive, work: &Path) -> Result<Job<'a>, Error> {
        let failed = |error: &io::Error| refused("build in", &format!("`{}`", work.display()), error);
        let work = fs::canonicalize(work).map_err(|error| failed(&error))?;
        if fs::read_dir(&work).map_err(|error| failed(&error))?.next().is_some() {
            let problem = Problem::new("work", format!("`{}` is not empty", work.display()));
            return Err(Error::invalid(vec![problem.hint("build in a new directory")]));
        }
        let flags = nix::sys::statvfs::statvfs(&work).map_err(|errno| failed(&errno.into()))?.flags();
        if flags.contains(nix::sys::statvfs::FsFlags::ST_NOEXEC) {
            return Err(Error::from(Blocker {
                message: format!(
                    "`{}` lies on a file system that no program is executed from (noexec)",
                    work.display()
                ),
                hint: Some("build where programs may be, or mount that file system without `noexec`".to_owned()),
            }));
        }
        // The programs of packages may be set-user-id until the root is trimmed: nobody else is to get at them.
        fs::set_permissions(&work, fs::Permissions::from_mode(0o700)).map_err(|error| failed(&error))?;
        Ok(Job { draft, options, archive, tar: work.join("root.tar"), work })
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.draft.recipe
    }

    /// The options of the build.
    pub fn options(&self) -> &Options {
        self.options
    }

    /// Writes everything.
    pub fn write(&self) -> Result<(), Error> {
        self.write_all().map_err(|error| refused("write the job of a build", "", &error))?;
        if let Some(cache) = &self.options.cache {
            fs::create_dir_all(cache)
                .map_err(|error| refused("make the cache", &format!("`{}`", cache.display()), &error))?;
        }
        Ok(())
    }

    fn write_all(&self) -> io::Result<()> {
        let job = self.work.join("job");
        for directory in
            [&job, &job.join("run"), &job.join("files"), &self.work.join("root/dev"), &self.work.join("root/proc")]
        {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        // Programs of apt look for them on the machine too.
        for name in ["apt.conf.d", "trusted.gpg.d"] {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(job.join("etc").join(name))?;
        }
        for device in DEVICES {
            fs::write(self.work.join("root/dev").join(device), "")?;
        }
        for (name, script) in SCRIPTS {
            write(&job.join(name), script.as_bytes(), 0o755)?;
        }
        let archive = self.archive;
        let signed = format!("[signed-by={WORK}/job/keyring] ");
        let sources: String = archive.lines.iter().map(|line| line.text(&signed)).collect();
        write(&job.join("sources.list"), sources.as_bytes(), 0o644)?;
        write(&job.join("keyring"), &archive.keyring, 0o644)?;
        if !self.draft.recipe.files.iter().any(|file| file.path == Path::new("/etc/apt/sources.list")) {
            let lasting: String = archive.lasting.iter().map(|line| line.text("")).collect();
            write(&job.join("sources.final"), lasting.as_bytes(), 0o644)?;
        }
        write(&job.join("apt.conf"), self.apt_conf().as_bytes(), 0o644)?;
        write(&job.join("apt.opts"), self.settings().as_bytes(), 0o644)?;
        let recipe = &self.draft.recipe;
        let lines = |usual: &[&str], more: &[String]| -> String {
            usual.iter().copied().chain(more.iter().map(String::as_str)).map(|pattern| format!("{pattern}\n")).collect()
        };
        write(&job.join("exclude"), lines(&EXCLUDE, &recipe.exclude).as_bytes(), 0o644)?;
        write(&job.join("keep"), lines(&KEEP, &recipe.keep).as_bytes(), 0o644)?;
        for (number, command) in (1..).zip(&recipe.run) {
            write(&job.join(format!("run/{number}")), command.as_bytes(), 0o644)?;
        }
        for (file, content) in recipe.files.iter().zip(&self.draft.files) {
            let path = job.join("files").join(file.path.strip_prefix("/").unwrap_or(&file.path));
            fs::create_dir_all(path.parent().unwrap_or(&job))?;
            write(&path, content, file.mode)?;
        }
        Ok(())
    }

    /// What apt is told in any case.
    fn settings(&self) -> String {
        let mut text = String::from(
            "APT::Sandbox::User \"root\";\nAPT::Install-Recommends \"false\";\nAcquire::Languages \"none\";\n\
             Acquire::Retries \"3\";\n",
        );
        text.extend(self.archive.settings.iter().map(|setting| format!("{setting}\n")));
        text
    }

    /// For apt on its own, before there is a root.
    fn apt_conf(&self) -> String {
        format!(
            "Dir::State \"{WORK}/apt\";\nDir::State::status \"/dev/null\";\nDir::Cache \"{WORK}/apt/cache\";\n\
             Dir::Etc::sourcelist \"{WORK}/job/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\n{}",
            self.settings()
        )
    }

    /// The whole command: the script, and what it gives to mmdebstrap.
    pub fn words(&self) -> Vec<OsString> {
        let recipe = &self.draft.recipe;
        let mut words: Vec<String> =
            ["/bin/sh", "/build/job/build.sh", "--mode=root", "--format=directory"].map(str::to_owned).to_vec();
        words.push(format!("--variant={}", recipe.base.variant.name()));
        // The root is not empty, nothing is to be mounted, lists and some packages are there, and those that are fetched
        // stay until they are kept.
        words.push("--skip=check/empty,chroot/mount,update,download/empty,essential/unlink".to_owned());
        words.push(format!("--aptopt={WORK}/job/apt.opts"));
        words.push(format!("--setup-hook={WORK}/job/setup.sh"));
        // Where nothing is set up there is no other moment.
        let hook = if recipe.base.variant == Variant::Extract { "extract" } else { "customize" };
        words.push(format!("--{hook}-hook={WORK}/job/customize.sh"));
        words.extend(recipe.packages.iter().map(|package| format!("--include={package}")));
        words.extend([recipe.base.suite.clone(), ROOT.to_owned(), format!("{WORK}/job/sources.list")]);
        words.into_iter().map(OsString::from).collect()
    }
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    fs::write(path, content)?;
    // Whatever the caller's umask.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
