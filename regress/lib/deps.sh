#!/bin/sh
# Sees to it that everything is there to build, run and (with "test") test chat_realtime.
#
#   deps.sh demo|test
#
# What is missing is installed from Debian's packages by root; anyone else is told the one command to
# run. Ends with the npm packages of the lock files (the demo's, with "test" regress and the other examples too) in
# place, or with exit code 1.
set -eu

purpose=${1:-demo}
top=$(cd "$(dirname "$0")/../.." && pwd)
pg_config=${PG_CONFIG:-pg_config}
missing=
NODE=22 # where Debian's is too old
PATH=$top/.node/node_modules/.bin:$PATH

say()
{
	echo "set-up: $*"
}

fail()
{
	echo "set-up: $*" >&2
	exit 1
}

want()
{
	case " $missing " in
		*" $1 "*) ;;
		*) missing="$missing $1" ;;
	esac
}

has()
{
	command -v "$1" >/dev/null 2>&1
}

# The PostgreSQL to use: the one whose server headers are there, else Debian's default.
server_major()
{
	version=$("$pg_config" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
	if [ -z "$version" ] && has apt-cache; then
		version=$(apt-cache policy postgresql 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
	fi
	echo "$version"
}

# Packages whose absence shows without apt, so that this works on any machine that has them.
find_missing()
{
	missing=
	has cc && has make && [ -e /usr/include/stdlib.h ] || want build-essential

	major=$(server_major)
	pgxs=$("$pg_config" --pgxs 2>/dev/null || true)
	headers=$("$pg_config" --includedir-server 2>/dev/null || true)
	bindir=$("$pg_config" --bindir 2>/dev/null || true)
	[ -n "$pgxs" ] && [ -e "$pgxs" ] && [ -e "$headers/postgres.h" ] || want "postgresql-server-dev-${major:-15}"
	[ -n "$bindir" ] && [ -x "$bindir/postgres" ] && [ -x "$bindir/initdb" ] && [ -x "$bindir/psql" ] ||
		want "postgresql-${major:-15}"

	has pkg-config || want pkg-config
	for pair in libuv:libuv1-dev libcurl:libcurl4-openssl-dev libwebsockets:libwebsockets-dev \
		jansson:libjansson-dev openssl:libssl-dev libpq:libpq-dev; do
		{ has pkg-config && pkg-config --exists "${pair%%:*}"; } || want "${pair#*:}"
	done
	has_uv_plugin || want libwebsockets-evlib-uv
	if [ "$purpose" = test ]; then
		has "${CLANG_FORMAT:-clang-format}" || want clang-format
		has chromium || want chromium
		has openssl || want openssl
		has pgbouncer || [ -x /usr/sbin/pgbouncer ] || want pgbouncer
		has promtool || want prometheus
		# Not every release of Debian has it for every version of PostgreSQL: the test is skipped then.
		[ -e "$("$pg_config" --pkglibdir 2>/dev/null)/plpgsql_check.so" ] ||
			! apt-cache show "postgresql-${major:-15}-plpgsql-check" >/dev/null 2>&1 ||
			want "postgresql-${major:-15}-plpgsql-check"
	fi
	node_ok 16 || want nodejs
	has npm || want npm
	missing=${missing# }
}

# libwebsockets loads its libuv part at run time, from a package of its own.
has_uv_plugin()
{
	for file in "$(pkg-config --variable=libdir libwebsockets 2>/dev/null)"/libwebsockets-evlib_uv.so* \
		/usr/lib/*/libwebsockets-evlib_uv.so*; do
		[ -e "$file" ] && return 0
	done
	return 1
}

node_ok()
{
	has node && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "${1:-20}" ]
}

# Any Node.js that npm runs with will do to begin with: where Debian's is older than 20, npm has a newer one, which is kept in
# this folder (.node/) and is the first that the Makefile finds.
newer_node()
{
	if node_ok; then
		return 0
	fi
	say "Node.js $(node --version) is too old: installing version $NODE from npm, into .node/ (about 50 MB)"
	npm install --prefix "$top/.node" --no-save --no-audit --no-fund --loglevel=error "node@$NODE" || fail "npm could not install node@$NODE: is the npm registry reachable?"
	PATH=$top/.node/node_modules/.bin:$PATH
	node_ok || fail "Node.js 20 or later is needed: install it with npm, from https://nodejs.org/en/download, and run this again"
}

# promtool is a part of Prometheus' package, which would start a server here: only the program is taken out of it.
unpack_promtool()
{
	case " $missing " in *" prometheus "*) ;; *) return 0 ;; esac
	dir=$(mktemp -d)
	(cd "$dir" && apt-get download -q prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - ./usr/bin/promtool &&
		install -m 755 usr/bin/promtool /usr/local/bin/promtool) >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		rm -rf "$dir"
		fail "promtool could not be taken out of Debian's package prometheus"
	}
	rm -rf "$dir"
	missing=$(echo " $missing " | sed 's/ prometheus / /; s/^ *//; s/ *$//')
}

# Debian's server package would create and start a cluster: keep it from that if none is there yet.
install_packages()
{
	drop_in=
	case " $missing " in
		*" postgresql-"[0-9]*)
			if ! has pg_lsclusters || [ -z "$(pg_lsclusters -h)" ]; then
				drop_in=/etc/postgresql-common/createcluster.d/chat_realtime.conf
				mkdir -p "${drop_in%/*}"
				echo "create_main_cluster = false" >"$drop_in"
				trap 'rm -f "$drop_in"' EXIT
				say "no database cluster is created or started for it ($drop_in, for the time of the installation)"
			fi ;;
	esac
	# shellcheck disable=SC2086 # a list of package names
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		fail "apt-get could not install: $missing"
	}
	if [ -n "$drop_in" ]; then
		rm -f "$drop_in"
		trap - EXIT
	fi
}

update_and_install()
{
	log=$(mktemp)
	say "installing from Debian's packages (some minutes the first time): $missing"
	apt-get update -q >"$log" 2>&1 || say "apt-get update failed, going on with the lists there are"
	# Without lists the versions above were guesses.
	find_missing
	unpack_promtool
	[ -z "$missing" ] || install_packages
	rm -f "$log"
	find_missing
	[ -z "$missing" ] || fail "still missing after the installation: $missing"
}

packages()
{
	find_missing
	[ -n "$missing" ] || return 0
	has apt-get || fail "missing, and no apt-get here to install it (names of Debian's packages): $missing"
	if [ "$(id -u)" -ne 0 ]; then
		fail "missing: run this first: sudo apt-get install -y --no-install-recommends $missing"
	fi
	update_and_install
}

# npm_packages DIRECTORY: what its lock file names, unless it is there already.
npm_packages()
{
	stamp=$1/node_modules/.package-lock.json
	if [ -e "$stamp" ] && [ -z "$(find "$1/package-lock.json" -newer "$stamp")" ]; then
		return 0
	fi
	say "installing npm packages (npm ci in ${1#"$top"/}, about half a minute)"
	npm ci --prefix "$1" --no-audit --no-fund --loglevel=error ||
		fail "npm ci failed in ${1#"$top"/}: is the npm registry reachable?"
	touch "$stamp"
}

version_ok()
{
	major=$(server_major)
	[ "${major:-0}" -ge 15 ] || fail "PostgreSQL 15 or later is needed, and $pg_config is of ${major:-none}"
}

packages
version_ok
newer_node
npm_packages "$top/examples/demo"
if [ "$purpose" = test ]; then
	npm_packages "$top/regress"
	npm_packages "$top/examples/node"
	npm_packages "$top/examples/react"
fi
