#!/usr/bin/env bash
# Install the system packages that are missing, where this may be done (apt, as root or with passwordless sudo).
# Only a C compiler and Python with venv and headers are needed; without the rest the build leaves out what they serve.
# Usage: system_packages.sh PYTHON
set -euo pipefail
python=$1

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
"$python" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
"$python" -c 'import pathlib, sysconfig; assert pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()' \
    2>/dev/null || missing+=(python3-dev)
if ! command -v pkg-config >/dev/null; then
    missing+=(pkg-config libdeflate-dev libzstd-dev libisal-dev)
else
    pkg-config --exists libdeflate || missing+=(libdeflate-dev)
    pkg-config --exists libzstd || missing+=(libzstd-dev)
    pkg-config --exists libisal || missing+=(libisal-dev)
fi
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi
export DEBIAN_FRONTEND=noninteractive
if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    echo "installing with apt: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq || true
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && exit 0
fi
echo "could not install ${missing[*]}; going on without" >&2
