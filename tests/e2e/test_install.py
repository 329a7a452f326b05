#!/usr/bin/env python3
"""What `make install` puts where, and manual pages that are well formed and name every option."""
import pathlib
import re
import subprocess

from harness import BIN, case, expect, expect_eq, folder, main, run

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = BIN.parent.parent
PROGRAMS = ["rbd-target-io", "rbd-target-api", "gwcli"]
DAEMONS = PROGRAMS[:2]


def installed_files(path):
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", path, timeout=120)
    return {str(f.relative_to(path)) for f in path.rglob("*") if f.is_file()}


@case
def install_puts_programs_pages_units_and_docs_where_a_host_looks_for_them():
    with folder() as path:
        files = installed_files(path)

        def one(ending):
            found = [f for f in files if f.endswith(ending)]
            expect_eq(len(found), 1, f"{ending} among {sorted(files)}")
            return found[0]
        for program in PROGRAMS:
            place = one(f"bin/{program}")
            expect(program in run(path / place, "--version"), f"{place} --version")
            one(f"man/man8/{program}.8")
        for daemon in DAEMONS:
            expect(f"lib/systemd/system/{daemon}.service" in files, f"the unit of {daemon}")
            unit = (path / f"lib/systemd/system/{daemon}.service").read_text()
            start = re.search(r"^ExecStart=/(\S+)$", unit, re.M).group(1)
            expect(start in files, f"{start} of the unit is not installed")
            expect("StartLimitIntervalSec=0" in unit[:unit.index("[Service]")].split(),
                   f"{daemon} is started again however often it could not start")
        one("sysusers.d/rbdgate.conf")
        for page in ("README.md", "operation.md", "tour.md", "architecture.md"):
            one(f"doc/rbdgate/{page}")
        strange = [f for f in files if "test" in pathlib.Path(f).name or f.endswith((".a", ".h"))]
        expect(not strange, f"nobody needs {strange}")


@case
def manual_pages_are_well_formed():
    for program in PROGRAMS:
        done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", SOURCE / "man" / f"{program}.8"],
                              capture_output=True, text=True)
        expect_eq((done.returncode, done.stderr), (0, ""), f"groff of {program}.8")


@case
def every_option_of_the_help_is_in_the_manual_and_the_other_way_round():
    for program in PROGRAMS:
        page = (SOURCE / "man" / f"{program}.8").read_text()
        options = page[page.index(".SH OPTIONS"):]
        options = options[:options.index(".SH", 4)].replace("\\-", "-")
        long_option = r"(?<![\w-])--[a-z][a-z-]+"
        helped = set(re.findall(long_option, run(BIN / program, "--help")))
        expect_eq(set(re.findall(long_option, options)), helped, f"options of {program}")


@case
def every_setting_of_ours_is_in_the_manual_and_in_the_operation_page():
    table = (SOURCE / "src" / "config" / "option.c").read_text()
    names = re.findall(r'OPTION_RBDGATE,[^"]*"(\w+)"', table)
    expect(len(names) >= 10, f"{names}")
    manual = (SOURCE / "man" / "rbd-target-io.8").read_text()
    operation = (SOURCE / "docs" / "operation.md").read_text()
    for name in names:
        expect(f".BR {name} " in manual, f"{name} is not in rbd-target-io.8")
        expect(f"| `{name}` |" in operation, f"{name} is not in operation.md")


main()
