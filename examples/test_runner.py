"""A test runner: the tests of the last commits of a repository, each in a copy of one sandbox, at the same time.

    python3 examples/test_runner.py REPOSITORY [--commits 5] [--command "python3 -m unittest -q"] [--image python]

REPOSITORY is a directory of this machine, or an address that git clones. Tests run without a network, and what they write stays in
their copy. The exit code says whether the tests of the last commit pass.
"""

import argparse
import asyncio
import pathlib
import time

from belljar import AsyncDaytona, CreateSandboxFromSnapshotParams, DaytonaTimeoutError

WORK = "work"


async def brought(daytona, options):
    """A sandbox with the repository, from which all others are copied."""
    here = pathlib.Path(options.repository)
    sandbox = await daytona.create(
        CreateSandboxFromSnapshotParams(snapshot=options.image, network_block_all=True if here.is_dir() else None)
    )
    if here.is_dir():
        await sandbox.fs.create_folder(WORK)
        daytona.client.cp(from_=[f"{here.resolve()}/.git"], to=f"{sandbox.id}:{WORK}/.git")
        await sandbox.git.restore(WORK, ["."], source="HEAD", staged=True, worktree=True)
    else:
        await sandbox.git.clone(options.repository, WORK)
        # From here on it reaches nothing, nor does any copy.
        await sandbox.update_network_settings(network_block_all=True)
    return sandbox


async def tested(sandbox, commit, options):
    """Tests one commit in a copy; how it went, in words, and whether well."""
    async with await sandbox.fork() as copy:
        begun = time.monotonic()
        await copy.git.checkout_branch(WORK, commit["hash"])
        try:
            told = await copy.process.exec(options.command, cwd=WORK, timeout=options.timeout)
        except DaytonaTimeoutError:
            return f"took longer than {options.timeout} s", False
        seconds = time.monotonic() - begun
        last = (told.result.strip().splitlines() or [""])[-1]
        return f"{'passed' if told.exit_code == 0 else f'failed ({told.exit_code})'} in {seconds:.1f} s: {last}", told.exit_code == 0


async def run(options):
    async with AsyncDaytona() as daytona:
        sandbox = await brought(daytona, options)
        commits = daytona.client.git.log(sandbox=sandbox.id, path=WORK, limit=options.commits)["commits"]
        results = await asyncio.gather(*(tested(sandbox, commit, options) for commit in commits))
    for commit, (told, _) in zip(commits, results):
        print(f"{commit['hash'][:8]} {commit['message'].splitlines()[0]:40.40} {told}")
    return 0 if results and results[0][1] else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository")
    parser.add_argument("--commits", type=int, default=5)
    parser.add_argument("--command", default="python3 -m unittest -q")
    parser.add_argument("--image", help="an image that `belljar image ls` lists; without it, this machine's own files")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for the tests of one commit")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
