#!/usr/bin/env python3
"""libiscsi's conformance suite against a LUN of the embedded store. Totals are compared with what the
suite has, so that "nothing ran" is a failure; every skip is named and expected."""
import re

import harness
from harness import case, expect, expect_eq, gateway, make_target, run

USER, SECRET = "myusername1", "mypassword12"
INITIATORS = ("iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test",
              "iqn.2007-10.com.github:sahlberg:libiscsi:iscsi-test-2")

# Groups of tests with the number that must run: together all 230 of the suite.
GROUPS = {
    "inquiry, capacity, mode, luns": (
        "ALL.Inquiry,ALL.Mandatory,ALL.ModeSense6,ALL.NoMedia,ALL.ReadCapacity10,ALL.ReadCapacity16,"
        "ALL.ReportSupportedOpcodes,ALL.StartStopUnit,ALL.TestUnitReady,ALL.PreventAllow,ALL.ReadOnly", 36),
    "reads": ("ALL.Read6,ALL.Read10,ALL.Read12,ALL.Read16,ALL.Prefetch10,ALL.Prefetch16", 26),
    "writes": ("ALL.Write10,ALL.Write12,ALL.Write16,ALL.WriteVerify10,ALL.WriteVerify12,ALL.WriteVerify16", 34),
    "verify": ("ALL.Verify10,ALL.Verify12,ALL.Verify16", 24),
    "provisioning": ("ALL.Unmap,ALL.WriteSame10,ALL.WriteSame16,ALL.GetLBAStatus", 26),
    "compare and write": ("ALL.CompareAndWrite.Simple,ALL.CompareAndWrite.DpoFua,ALL.CompareAndWrite.Miscompare,"
                          "ALL.CompareAndWrite.Unwritten", 4),
    # Alone: after it, 1.19's tool patches the CDB of every later command of its process.
    "compare and write of a wrong size": ("ALL.CompareAndWrite.InvalidDataOutSize", 1),
    "reserve": ("ALL.Reserve6", 7),
    "persistent reservations": (
        "ALL.PrinReadKeys,ALL.PrinServiceactionRange,ALL.PrinReportCapabilities,ALL.ProutRegister,"
        "ALL.ProutReserve,ALL.ProutClear,ALL.ProutPreempt", 20),
    "orwrite": ("ALL.OrWrite", 6),
    "what is not offered": ("ALL.WriteAtomic16,ALL.ReceiveCopyResults,ALL.ExtendedCopy,ALL.Sanitize,"
                            "ALL.ReadDefectData10,ALL.ReadDefectData12", 27),
    "iscsi": ("iSCSI", 15),
}


# What the tool skips on such a LUN, and why. Nothing else may be skipped, and all of it must be.
SKIPPED = {
    "not removable": ["PreventAllow." + test for test in (
        "Simple", "Eject", "ITNexusLoss", "Logout", "WarmReset", "ColdReset", "LUNReset", "2ITNexuses")] +
    ["StartStopUnit.Simple"],
    "not write-protected": ["ReadOnly.ReadOnlySBC"],
    "not allowed by its command line": ["Sanitize." + test for test in (
        "BlockErase", "BlockEraseReserved", "CryptoErase", "CryptoEraseReserved", "ExitFailureMode",
        "InvalidServiceAction", "Overwrite", "OverwriteReserved", "Readonly", "Reservations", "Reset")],
    "command not offered": ["ExtendedCopy." + test for test in (
        "Simple", "ParamHdr", "DescrLimits", "DescrType", "ValidTgtDescr", "ValidSegDescr")] +
    ["ReceiveCopyResults.CopyStatus", "ReceiveCopyResults.OpParams", "ReadDefectData10.Simple",
     "ReadDefectData12.Simple"] + ["WriteAtomic16." + test for test in (
        "Simple", "BeyondEol", "ZeroBlocks", "WriteProtect", "DpoFua", "VPD")],
    "a cold reset is refused": ["Reserve6.TargetColdReset"],
    "WSNZ: zero blocks are refused": ["WriteSame10.ZeroBlocks", "WriteSame16.ZeroBlocks"],
    "physical blocks are logical blocks": [
        "WriteSame10.UnmapUnaligned", "WriteSame10.InvalidDataOutSize", "WriteSame16.UnmapUnaligned",
        "WriteSame16.InvalidDataOutSize", "CompareAndWrite.InvalidDataOutSize"],
}


def tests_and_skips(out):
    """Names of the tests that ran, and of those of them that skipped."""
    ran, skipped, suite_name, name = set(), set(), "", ""
    for line in out.splitlines():
        if found := re.match(r"Suite: (\S+)", line):
            suite_name = found[1]
        elif found := re.match(r"\s+Test: (\S+)", line):
            name = f"{suite_name}.{found[1]}"
            ran.add(name)
        if "[SKIPPED]" in line:
            skipped.add(name)
    return ran, skipped


def suite(gw, tests, expected, suffix="", second=None):
    out = run("iscsi-test-cu", "-d", "-i", INITIATORS[0], "-I", INITIATORS[1], "-t", tests,
              gw.url(user=USER, secret=SECRET) + suffix, *([second] if second else []), check=False, timeout=280)
    found = re.search(r"tests\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", out)
    expect(found, f"no summary:\n{out[-3000:]}")
    total, ran, passed, failed = map(int, found.groups())
    failures = [line for line in out.splitlines() if "FAILED" in line or re.match(r"\s+\d+\. ", line)]
    expect(failed == 0, f"{failed} of {ran} failed:\n" + "\n".join(failures[:60]) + out[-1500:])
    expect(ran == expected, f"{ran} tests ran, {expected} should have")
    names, skipped = tests_and_skips(out)
    expect_eq(len(names), expected, "tests named")
    expect_eq(skipped, names & set(sum(SKIPPED.values(), [])), "skipped")


def define(name, tests, expected):
    def test():
        with gateway() as gw:
            make_target(gw, size="256M", user=USER, secret=SECRET)
            suite(gw, tests, expected)
    test.__name__ = "libiscsi_suite_" + re.sub(r"\W+", "_", name)
    case(test)


for group, (tests, expected) in GROUPS.items():
    define(group, tests, expected)


@case
def libiscsi_suite_iscsi_with_header_digest():
    with gateway() as gw:
        make_target(gw, size="256M", user=USER, secret=SECRET)
        suite(gw, "iSCSI", 15, suffix="?header_digest=crc32c")


@case
def libiscsi_suite_two_paths_to_one_lun():
    with gateway() as gw:
        make_target(gw, size="256M", user=USER, secret=SECRET)
        url = gw.url(user=USER, secret=SECRET)
        suite(gw, "ALL.MultipathIO", 4, second=url)


harness.main()
