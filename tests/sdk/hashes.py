"""Writes the hashes of all files of each pinned version behind it, as pip's hash-checking mode wants them.

Run it after a change of a version: python3 tests/sdk/hashes.py
"""

import json
import pathlib
import re
import urllib.request

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
JSON = "application/vnd.pypi.simple.v1+json"


def hashes(name: str, version: str) -> list[str]:
    """Returns the hashes of the source and the wheels of a version, from the package index (PEP 691)."""
    url = f"https://pypi.org/simple/{re.sub('[-_.]+', '-', name).lower()}/"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": JSON})) as answer:
        files = json.load(answer)["files"]
    wheel = re.compile(rf"^[^-]+-{re.escape(version)}(-|\.tar\.gz$|\.zip$)")
    found = {file["hashes"]["sha256"] for file in files if wheel.match(file["filename"])}
    if not found:
        raise SystemExit(f"{name} {version} has no files")
    return sorted(found)


def main() -> None:
    lines = []
    for line in REQUIREMENTS.read_text().splitlines():
        if line.startswith("    --hash"):
            continue
        line = line.removesuffix(" \\")
        pinned = re.match(r"^([\w.-]+)(?:\[.*\])?==([^\s;]+)$", line)
        if not pinned:
            lines.append(line)
            continue
        lines.append(" \\\n    ".join([line, *(f"--hash=sha256:{digest}" for digest in hashes(*pinned.groups()))]))
    REQUIREMENTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
