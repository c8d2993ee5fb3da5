//! Ordinary clients with ordinary servers, as people use them.

use crate::common::images::{Home, Image};
use crate::common::scale::scaled_from;
use crate::common::{Run, Scratch, bind, installed, result, stdout};
use crate::world::{ALL, call, directory, enter, files, shell};
use serde_json::{Value, json};
use std::process::Command;

#[test]
fn programs_that_people_use_find_their_way() {
    let names = &["--allow", "allowed.example"];
    if installed("curl") {
        let script = "curl -sSm 9 http://allowed.example/a && curl -sSm 9 https://allowed.example/b && curl -sSkm 9 https://allowed.example/bytes/3000000 | wc -c";
        let result = shell(names, script);
        assert_eq!(
            stdout(&result),
            "outside GET /a allowed.example \noutside GET /b allowed.example \n3000000\n",
            "{result}"
        );
    }
    if installed("dig") {
        let result = shell(
            names,
            "dig +short allowed.example; dig +short +tcp allowed.example AAAA; dig nowhere.test | grep -c NXDOMAIN",
        );
        assert_eq!(stdout(&result), "192.52.193.1\n2620:4f:8000:2::1\n1\n", "{result}");
    }
    if installed("ping") {
        let result = shell(
            ALL,
            "for to in 192.52.193.1 2620:4f:8000:2::1; do ping -c 2 -i 0.2 -W 2 $to | grep -o ' 0% packet loss'; done",
        );
        assert_eq!(stdout(&result), " 0% packet loss\n".repeat(2), "{result}");
    }
}

#[test]
fn git_clones_over_http() {
    if !installed("git") {
        return;
    }
    let tree = files().join("tree.git");
    let script = "git init -q --bare \"$1\" && cd \"$1\" && echo content | git hash-object -w --stdin >b && git update-index --add --cacheinfo 100644,$(cat b),file &&
        git update-ref HEAD $(git -c user.name=a -c user.email=a@b commit-tree -m first $(git write-tree)) && git update-server-info";
    let done = Command::new("sh").args(["-c", script, "sh"]).arg(&tree).output().expect("start sh");
    assert!(done.status.success(), "{done:?}");
    let result = shell(
        &["--allow", "allowed.example:80"],
        "cd /tmp && git clone -q http://allowed.example/files/tree.git && cat tree/file",
    );
    assert_eq!(stdout(&result), "content\n", "{result}");
    let result =
        shell(&["--allow", "other.example:80"], "cd /tmp && git clone -q http://allowed.example/files/tree.git");
    assert_ne!(result["exit_code"], 0, "{result}");
}

#[test]
fn pip_installs_from_an_index_that_is_allowed() {
    if !installed("pip3") {
        return;
    }
    let make = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/tiny-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('tiny.py', 'said = \"installed\"\\n')
    wheel.writestr('tiny-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')
    wheel.writestr('tiny-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('tiny-1.0.dist-info/RECORD', 'tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\ntiny-1.0.dist-info/RECORD,,\\n')
";
    let index = files().join("simple/tiny");
    std::fs::create_dir_all(&index).expect("make an index");
    assert!(Command::new("python3").args(["-c", make]).arg(&index).status().expect("start python").success());
    let script = "python3 -m pip install -q --no-input --disable-pip-version-check --target /tmp/t --trusted-host allowed.example \
                  --index-url http://allowed.example/files/simple tiny && PYTHONPATH=/tmp/t python3 -c 'import tiny; print(tiny.said)'";
    let result = shell(&["--allow", "allowed.example:80"], script);
    assert_eq!(stdout(&result), "installed\n", "{result}");
}

#[test]
fn curl_takes_a_gigabyte_by_http_1_and_by_http_2() {
    if !(installed("curl") && installed("node")) {
        return;
    }
    let count = scaled_from(20_000_000, 1_000_000_000);
    let script = format!(
        "for place in http://allowed.example https://h2.example; do
            curl -sSm 250 -o /dev/null -w '%{{http_version}} %{{size_download}} %{{http_code}}\\n' $place/bytes/{count} || exit
        done"
    );
    let options = ["--timeout", "500s", "--allow", "allowed.example:80", "--allow", "h2.example:443"];
    let result = result(&call(&[&["run", "--json"], &options[..], &["--", "sh", "-c", &script]].concat()));
    assert_eq!(stdout(&result), format!("1.1 {count} 200\n2 {count} 200\n"), "{result}");
    assert!(result["network"]["received"].as_u64().is_some_and(|bytes| bytes > 2 * count as u64), "{result}");
}

#[test]
fn iperf3_measures_in_both_directions_at_once() {
    if !installed("iperf3") {
        return;
    }
    for options in ["", "--reverse", "--bidir", "--udp --bitrate 50M"] {
        let script = format!("iperf3 --client 192.52.193.1 --time 1 --json {options}");
        let result = shell(&["--allow", "192.52.193.1:5201"], &script);
        assert_eq!(result["exit_code"], 0, "{options}: {result}");
        let told: Value = serde_json::from_str(stdout(&result)).expect("an object");
        let end = told["end"].as_object().expect("its end");
        let sums: Vec<f64> =
            end.iter().filter(|(key, _)| key.starts_with("sum")).filter_map(|(_, sum)| sum["bytes"].as_f64()).collect();
        assert!(!sums.is_empty() && sums.iter().all(|bytes| *bytes > 1e6), "{options}: {told}");
    }
}

#[test]
fn git_clones_and_pushes_over_ssh() {
    if !["git", "ssh", "dropbear"].into_iter().all(installed) {
        return;
    }
    let tree = directory().join("ssh.git");
    let made = Command::new("git").args(["init", "-q", "--bare"]).arg(&tree).output().expect("start git");
    assert!(made.status.success(), "{made:?}");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("look it up").expect("a user").name;
    let key = std::fs::read_to_string(directory().join("key")).expect("read the key");
    let script = format!(
        "set -e; cd /tmp; printf '%s' \"$KEY\" >key; chmod 600 key
        export GIT_SSH_COMMAND='ssh -i /tmp/key -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/tmp/known -o LogLevel=ERROR'
        git clone -q ssh://{user}@allowed.example:2222{0} one 2>/dev/null; cd one; echo content >file; git add file
        git -c user.name=a -c user.email=a@b commit -qm first; git push -q origin HEAD:refs/heads/main
        git clone -q -b main ssh://{user}@allowed.example:2222{0} ../two; cat ../two/file",
        tree.display()
    );
    let environment = format!("KEY={key}");
    let result = shell(&["--allow", "allowed.example:2222", "--env", &environment], &script);
    assert_eq!(stdout(&result), "content\n", "{result}");
    let result = shell(&["--allow", "other.example", "--env", &environment], &script);
    assert_ne!(result["exit_code"], 0, "{result}");
}

#[test]
fn npm_installs_from_a_registry_that_is_allowed() {
    if !installed("npm") {
        return;
    }
    let place = files().join("npm");
    let script = "set -e; mkdir \"$1\" && cd \"$1\" && mkdir package && cd package && echo 'module.exports = \"installed\"' >index.js &&
        echo '{\"name\":\"tiny\",\"version\":\"1.0.0\",\"main\":\"index.js\"}' >package.json && cd .. && tar czf tiny-1.0.0.tgz package";
    let made = Command::new("sh").args(["-c", script, "sh"]).arg(&place).output().expect("start sh");
    assert!(made.status.success(), "{made:?}");
    let tarball = "https://allowed.example/files/npm/tiny-1.0.0.tgz";
    let version = json!({ "name": "tiny", "version": "1.0.0", "main": "index.js", "dist": { "tarball": tarball } });
    let told = json!({ "name": "tiny", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": version } });
    std::fs::write(place.join("tiny"), told.to_string()).expect("write the registry");
    let script = "mkdir /tmp/p && cd /tmp/p && npm install --no-audit --no-fund --no-update-notifier --loglevel error --fetch-retries 0 --cache /tmp/c \
        --cafile /etc/ssl/certs/ca-certificates.crt --registry https://allowed.example/files/npm/ tiny >/dev/null && node -p 'require(\"tiny\")'";
    let result = shell(&["--allow", "allowed.example:443"], script);
    assert_eq!(stdout(&result), "installed\n", "{result}");
    let result = shell(&["--allow", "other.example"], script);
    assert_ne!(result["exit_code"], 0, "{result}");
    assert_eq!(result["network"]["targets"][0]["hint"], "--allow allowed.example:443", "{result}");
}

#[test]
fn a_go_client_speaks_http_2_and_follows_the_policy() {
    if !(installed("go") && installed("node")) {
        return;
    }
    let source = r#"package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	for _, place := range os.Args[1:] {
		found, err := http.Get(place)
		if err != nil { fmt.Println("failed"); continue }
		body, err := io.ReadAll(found.Body)
		fmt.Println(found.Proto, len(body), err)
	}
}
"#;
    let scratch = Scratch::new("go");
    let source = scratch.file("client.go", source);
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(scratch.0.join("client")).arg(source).current_dir(&scratch.0);
    build.env("CGO_ENABLED", "0").env("GO111MODULE", "off").env("GOCACHE", scratch.0.join("cache"));
    assert!(build.status().expect("start go").success());
    let mount = bind(&scratch.0.join("client"), "/mnt/client");
    let script =
        "/mnt/client https://h2.example/bytes/5000000 http://allowed.example/bytes/5000 https://other.example/";
    let result = shell(&["--mount", &mount, "--allow", "h2.example", "--allow", "allowed.example"], script);
    assert_eq!(stdout(&result), "HTTP/2.0 5000000 <nil>\nHTTP/1.1 5000 <nil>\nfailed\n", "{result}");
    assert_eq!(result["network"]["targets"][0]["hint"], "--allow other.example:443", "{result}");
}

#[test]
fn a_java_client_speaks_http_2_and_follows_the_policy() {
    if !(installed("javac") && installed("node")) {
        return;
    }
    let source = r#"
import java.io.*; import java.net.URI; import java.net.http.*; import java.security.*; import java.security.cert.*; import javax.net.ssl.*;
public class Client {
    public static void main(String[] places) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream file = new FileInputStream("/etc/ssl/certs/ca-certificates.crt")) {
            trusted.setCertificateEntry("one", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, trust.getTrustManagers(), null);
        HttpClient client = HttpClient.newBuilder().sslContext(tls).build();
        for (String place : places) {
            try {
                HttpResponse<byte[]> found = client.send(HttpRequest.newBuilder(URI.create(place)).build(), HttpResponse.BodyHandlers.ofByteArray());
                System.out.println(found.version() + " " + found.body().length);
            } catch (IOException error) { System.out.println("failed"); }
        }
    }
}
"#;
    let scratch = Scratch::new("java");
    let mount = bind(&scratch.file("Client.java", source), "/mnt/Client.java");
    let script = "java /mnt/Client.java https://h2.example/bytes/5000000 http://allowed.example/bytes/5000 https://other.example/";
    let result = shell(&["--mount", &mount, "--allow", "h2.example", "--allow", "allowed.example"], script);
    assert_eq!(stdout(&result), "HTTP_2 5000000\nHTTP_1_1 5000\nfailed\n", "{result}");
    assert_eq!(result["network"]["targets"][0]["hint"], "--allow other.example:443", "{result}");
}

/// An image without certificates, whose programs are the host's.
fn bare(home: &Home, environment: &[&str]) {
    let layer = "mkdir etc tmp usr && ln -s usr/bin bin && ln -s usr/lib lib && ln -s usr/lib64 lib64".to_owned();
    home.import("bare", &Image { layers: vec![layer], config: json!({ "Env": environment }) });
}

#[test]
fn clients_with_authorities_of_their_own_trust_those_of_the_host_too_in_an_image_that_has_none() {
    let home = Home::new("authorities");
    bare(&home, &[]);
    let run = |options: &[&str], words: &[&str]| {
        let all = [&["run", "--image", "bare", "--mount", "/usr:/usr"], options, &["--"], words].concat();
        Run::from(enter(&home.command(&all)).output().expect("start nsenter"))
    };
    let names = &["--allow", "allowed.example:443"];
    let variables = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"];
    let ask = variables.map(|name| format!("echo ${{{name}-}}")).join("; ");
    let all = "/etc/ssl/certs/ca-certificates.crt\n".repeat(3);
    assert_eq!(run(names, &["sh", "-c", &ask]).stdout, all);
    // Without a network nobody is to be trusted, and nothing is shown.
    assert_eq!(run(&[], &["sh", "-c", &ask]).stdout, "\n\n\n");
    let own = [&names[..], &["--env", "NODE_EXTRA_CA_CERTS=/own.pem"]].concat();
    assert_eq!(run(&own, &["sh", "-c", "echo $NODE_EXTRA_CA_CERTS"]).stdout, "/own.pem\n");
    if installed("node") {
        let fetch = "fetch('https://allowed.example/node').then(found => found.text()).then(text => console.log(text), error => console.log(error.cause.code))";
        let asked = run(names, &["node", "-e", fetch]);
        assert_eq!(asked.stdout, "outside GET /node allowed.example \n\n", "{asked:?}");
        let none = [&names[..], &["--env", "NODE_EXTRA_CA_CERTS="]].concat();
        let asked = run(&none, &["node", "-e", fetch]);
        assert_eq!(asked.stdout, "DEPTH_ZERO_SELF_SIGNED_CERT\n", "{asked:?}");
    }
    bare(&home, &["REQUESTS_CA_BUNDLE=/image.pem"]);
    assert_eq!(run(names, &["sh", "-c", "echo $REQUESTS_CA_BUNDLE"]).stdout, "/image.pem\n");
}
