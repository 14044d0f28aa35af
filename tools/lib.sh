# shellcheck shell=bash
# Shared by the scripts in tools/: where the project is, how a step reports itself, what is needed and how to get it.
# Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

started=$SECONDS

# say TEXT: one line of progress, with the time since the script began.
say() {
    printf '[%3d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# stage NAME COMMAND...: runs the command, and says when it began, how long it took and how it ended. Inside it bash does not
# stop at a failing line (errexit is off in a condition): a function given here returns its failures by itself.
stage() {
    local name=$1 from=$SECONDS status=0
    shift
    say "$name ..."
    "$@" || status=$?
    if [ "$status" -eq 0 ]; then
        say "$name: ok, $((SECONDS - from)) s"
    else
        say "$name: FAILED (exit status $status) after $((SECONDS - from)) s"
    fi
    return "$status"
}

# as_root COMMAND...: with sudo where we are not root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root: $*"
    fi
}

# need COMMAND HOW-TO-INSTALL: collects what is missing; report_missing ends the script if anything is.
missing=()
need() {
    command -v "$1" >/dev/null || missing+=("$1 is missing; install it with: $2")
}

report_missing() {
    [ ${#missing[@]} -eq 0 ] && return
    printf '%s\n' "${missing[@]}" >&2
    exit 1
}

# shellcheck disable=SC2016  # the reader's shell expands it
rust_install='curl -sSf https://sh.rustup.rs | sh   (then open a new shell, or: . "$HOME/.cargo/env")'
node_install='curl -fsSL https://deb.nodesource.com/setup_20.x | sudo bash - && sudo apt-get install -y nodejs'

# need_toolchain: what building the server and the web client takes.
need_toolchain() {
    if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then
        # shellcheck disable=SC1091  # rustup writes it
        . "$HOME/.cargo/env"
    fi
    need cargo "$rust_install"
    need cc 'sudo apt-get install -y build-essential'
    need node "$node_install"
    need npm "$node_install"
    if command -v node >/dev/null && [ "$(node -p 'Number(process.versions.node.split(".")[0])')" -lt 20 ]; then
        missing+=("node is $(node --version), 20 or newer is needed; install it with: $node_install")
    fi
    if command -v cargo >/dev/null; then
        local wanted have
        wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
        have=$(cargo --version | awk '{ print $2 }')
        if [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
            missing+=("cargo is $have, $wanted or newer is needed; install it with: rustup update stable")
        fi
    fi
    report_missing
}

# unchanged STAMP PATH...: true when nothing under the paths (node_modules and dist left out) is newer than the stamp.
unchanged() {
    local stamp=$1
    shift
    [ -f "$stamp" ] || return 1
    [ -z "$(find "$@" \( -name node_modules -o -name dist \) -prune -o -type f -newer "$stamp" -print -quit)" ]
}

# npm_install FOLDER: npm ci, skipped when the lock file is the one that was installed last.
npm_install() {
    if unchanged "$1/node_modules/.installed" "$1/package-lock.json"; then
        return
    fi
    npm ci --prefix "$1" --no-audit --no-fund && touch "$1/node_modules/.installed"
}

# web_build: builds the page that the server embeds, skipped when no source of it changed.
web_build() {
    npm_install web-client || return
    if unchanged target/web-client.built web-client && [ -f web-client/dist/index.html ]; then
        return
    fi
    mkdir -p target && touch target/web-client.building || return
    npm run build --prefix web-client && mv target/web-client.building target/web-client.built
}
