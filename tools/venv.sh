#!/bin/sh
# Create a virtual environment unless it exists, and install ace into it in editable mode.
#
#   tools/venv.sh DIR MINIMUM [GROUP...]
#
# MINIMUM is the oldest acceptable Python ("3.11"); a GROUP is a dependency group of pyproject.toml, or "+NAME" for
# an extra. $PYTHON is the interpreter to use; by default, one is searched for. The output of pip is written to
# DIR/install.log.
# If it fails, it exits with status 1 and a message that says how to fix it.
set -u

dir=$1 minimum=$2
shift 2

say() { printf '%s\n' "$*" >&2; }

fail() {
    say ""
    say "ace: $1"
    shift
    for line in "$@"; do say "     $line"; done
    exit 1
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

new_enough() {
    "$1" -c "import sys; sys.exit(sys.version_info[:2] < (${minimum%%.*}, ${minimum#*.}))" 2>/dev/null
}

can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        [ -n "$(version_of "$PYTHON")" ] || fail "PYTHON=$PYTHON does not run." \
            "Give the path of a Python $minimum or newer."
        new_enough "$PYTHON" || fail \
            "PYTHON=$PYTHON is Python $(version_of "$PYTHON"), but $minimum or newer is needed."
        can_make_venv "$PYTHON" || fail "PYTHON=$PYTHON has no venv module." \
            "On Debian and Ubuntu: sudo apt install python3-venv"
        python=$PYTHON
        return
    fi
    found=""
    # pyenv's commands fail for versions that are not active, so its folders are searched too.
    for python in python3 python3.13 python3.12 python3.11 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python; do
        version=$(version_of "$python")
        [ -n "$version" ] || continue
        found="$found $version"
        if new_enough "$python"; then
            can_make_venv "$python" && return
            without_venv="$python ($version)"
        fi
    done
    [ -z "${without_venv:-}" ] || fail "$without_venv has no venv module." \
        "On Debian and Ubuntu: sudo apt install python3-venv"
    [ -z "$found" ] && fail "no Python was found; $minimum or newer is needed." \
        "Install one, or name it: make PYTHON=/path/to/python ..."
    fail "Python $minimum or newer is needed; found only:$found." \
        "Install one, or name it: make PYTHON=/path/to/python ..."
}

pip_install() {
    # Connections often drop in downloads of this size, so try three times.
    for attempt in 1 2 3; do
        "$dir/bin/python" -m pip install --disable-pip-version-check "$@" >>"$log" 2>&1 && return
        # Do not retry if the error is not about the connection.
        grep -qiE 'connection|timed? ?out|name resolution|from versions: none|incomplete|hashes' "$log" \
            || break
        [ "$attempt" = 3 ] || { say "  the download failed; trying again ..."; sleep $((attempt * 5)); }
    done
    grep -v 'it is neither a file nor a directory' "$log" | tail -n 15 >&2
    fail "the packages could not be installed (full output of pip: $log)." \
        "Is there a network connection? Behind a proxy, set HTTPS_PROXY; with a mirror, PIP_INDEX_URL." \
        "Then run the same command again: packages that are already installed are kept."
}

# Check for pip too, because an interrupted set-up leaves an interpreter without it.
if ! "$dir/bin/python" -m pip --version >/dev/null 2>&1; then
    find_python
    say "Making $dir with Python $(version_of "$python") ..."
    rm -rf "$dir"
    say "  (installing takes some minutes the first time: PyTorch is large)"
    "$python" -m venv "$dir" || fail "$python could not make a virtual environment in $dir."
fi

log=$dir/install.log
: >"$log"

# Versions of the dependencies with which the oldest and the newest Python are tested.
constraints=constraints/latest.txt
[ "$(version_of "$dir/bin/python")" = 3.11 ] && constraints=constraints/py311.txt

extras="" groups=""
for name in "$@"; do
    case $name in
        +*) extras="$extras${extras:+,}${name#+}" ;;
        *) groups="$groups --group $name" ;;
    esac
done

say "Installing ace${*:+, and what is needed for: $*,} into $dir ..."
# Dependency groups need a newer pip than the one included in Python 3.11 and 3.12.
pip_install "pip>=25.1"
# shellcheck disable=SC2086 (split into one word per group)
pip_install -c "$constraints" -e ".${extras:+[$extras]}" $groups
