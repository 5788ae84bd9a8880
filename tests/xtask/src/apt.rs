//! Packages of another Debian suite and other architectures, without touching the host's package manager.
//!
//! A private configuration gives apt its own sources, lists and caches; the host's own settings (proxies and
//! the like) still apply, and so do the signatures. It works as root and as an ordinary user.

use crate::Result;
use crate::files;
use crate::process::{self, command, retry};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The suite whose packages the tests boot, unless they say another.
pub const SUITE: &str = "trixie";
/// The keys that sign Debian's suites.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Names a Debian mirror where the host's own sources name none.
const MIRROR_VARIABLE: &str = "HYPEREMU_DEBIAN_MIRROR";

/// One package as the registry describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Name with architecture, as `opensbi:all`.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// SHA-256 of the .deb.
    pub sha256: String,
    depends: String,
}

/// A private apt, in a folder of its own.
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Configures apt in `folder` and fetches a suite's package lists of these architectures.
    pub fn open(folder: &Path, suite: &str, architectures: &[&str]) -> Result<Self> {
        if !Path::new(KEYRING).exists() {
            return Err(format!("{KEYRING} is missing: install the package debian-archive-keyring").into());
        }
        let mirror = mirror()?;
        for part in ["lists/partial", "cache/archives/partial", "debs"] {
            files::make_folder(&folder.join(part))?;
        }
        let arches = architectures.join(",");
        let source = format!("deb [arch={arches} signed-by={KEYRING}] {mirror} {suite} main\n");
        files::write(&folder.join("sources.list"), source)?;
        files::write(&folder.join("status"), "")?;
        files::write(&folder.join("apt.conf"), config(folder, architectures))?;
        let apt = Self { folder: folder.to_owned() };
        retry("apt-get update", || process::output(apt.get().arg("update")))?;
        Ok(apt)
    }

    /// Looks a package up, as `name` or `name:architecture`.
    pub fn show(&self, name: &str) -> Result<Package> {
        let text = process::text(self.program("apt-cache").args(["show", "--no-all-versions", name]))?;
        parse_show(&text).ok_or_else(|| format!("apt-cache does not describe {name} as expected").into())
    }

    /// The package that a metapackage stands for: the dependency of this prefix. Kernel packages carry their
    /// version in their names, which changes at each point release.
    pub fn resolve(&self, metapackage: &str, prefix: &str) -> Result<Package> {
        let meta = self.show(metapackage)?;
        let name = dependency(&meta.depends, prefix)
            .ok_or_else(|| format!("{metapackage} depends on no {prefix}*: {}", meta.depends))?;
        let arch = metapackage.split_once(':').map_or(String::new(), |(_, arch)| format!(":{arch}"));
        self.show(&format!("{name}{arch}"))
    }

    /// Downloads a package, checks its hash, and unpacks it into `to`.
    pub fn unpack(&self, package: &Package, to: &Path) -> Result {
        let debs = self.folder.join("debs").join(package.name.replace(':', "_"));
        let wanted = format!("{}={}", package.name, package.version);
        retry(&wanted, || {
            files::remove_folder(&debs)?;
            files::make_folder(&debs)?;
            process::output(self.get().args(["download", &wanted]).current_dir(&debs))?;
            let (hash, _) = files::digest(&files::find(&debs, "")?)?;
            if hash == package.sha256 { Ok(()) } else { Err(format!("the download has hash {hash}").into()) }
        })?;
        files::make_folder(to)?;
        process::run(command("dpkg-deb").arg("-x").arg(files::find(&debs, "")?).arg(to))?;
        files::remove_folder(&debs)
    }

    fn get(&self) -> Command {
        let mut command = self.program("apt-get");
        // Options on the command line win over the host's configuration, which is read after ours.
        for option in [
            "Acquire::Retries=3",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::IndexTargets::deb::CNF::DefaultEnabled=false",
        ] {
            command.args(["-q", "-o", option]);
        }
        command
    }

    fn program(&self, name: &str) -> Command {
        let mut command = command(name);
        command.env("APT_CONFIG", self.folder.join("apt.conf"));
        command
    }
}

fn config(folder: &Path, architectures: &[&str]) -> String {
    let quoted = |path: &str| format!("\"{}\"", folder.join(path).display());
    let list: String = architectures.iter().map(|arch| format!("\"{arch}\"; ")).collect();
    let mut text = format!(
        "APT::Architecture \"{}\";\nAPT::Architectures {{ {list}}};\n",
        architectures.first().unwrap_or(&"amd64")
    );
    for (key, value) in [
        ("Dir::State", quoted("")),
        ("Dir::State::lists", quoted("lists")),
        ("Dir::State::status", quoted("status")),
        ("Dir::Cache", quoted("cache")),
        ("Dir::Etc::sourcelist", quoted("sources.list")),
        ("Dir::Etc::sourceparts", "\"/dev/null\"".into()),
        ("Dir::Etc::preferences", "\"/dev/null\"".into()),
        ("Dir::Etc::preferencesparts", "\"/dev/null\"".into()),
        // The folder may belong to a user whom apt's sandbox user cannot follow.
        ("APT::Sandbox::User", "\"root\"".into()),
    ] {
        text += &format!("{key} {value};\n");
    }
    text
}

/// The Debian mirror that the host itself is configured with.
pub fn mirror() -> Result<String> {
    if let Ok(uri) = std::env::var(MIRROR_VARIABLE) {
        return Ok(uri);
    }
    let format = "$(REPO_URI) $(RELEASE)";
    let text =
        process::text(command("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    debian_mirror(&text).ok_or_else(|| {
        format!("apt's sources on this host name no Debian mirror: set {MIRROR_VARIABLE} to the URI of one")
            .into()
    })
}

/// Picks the mirror of a main Debian suite out of lines of "URI suite".
fn debian_mirror(targets: &str) -> Option<String> {
    const SUITES: [&str; 9] =
        ["bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable", SUITE];
    let pairs = targets.lines().filter_map(|line| line.split_once(' '));
    let mut mirrors = pairs.filter(|(_, suite)| SUITES.contains(&suite.trim())).map(|(uri, _)| uri);
    mirrors.next().map(|uri| uri.trim_end_matches('/').to_owned())
}

fn parse_show(text: &str) -> Option<Package> {
    let field = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next().map(str::to_owned)
    };
    Some(Package {
        name: format!("{}:{}", field("Package")?, field("Architecture")?),
        version: field("Version")?,
        sha256: field("SHA256")?,
        depends: field("Depends").unwrap_or_default(),
    })
}

fn dependency<'a>(depends: &'a str, prefix: &str) -> Option<&'a str> {
    let names = depends.split([',', '|']).filter_map(|entry| entry.split_whitespace().next());
    let mut matching = names.filter(|name| name.starts_with(prefix));
    matching.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_is_that_of_a_main_suite() {
        let targets = "http://b/debian-security/ bookworm-security\nhttp://a/debian/ bookworm-updates\n\
                       http://a/debian/ bookworm\n";
        assert_eq!(debian_mirror(targets).as_deref(), Some("http://a/debian"));
        assert_eq!(debian_mirror("http://u/ubuntu/ noble\n"), None);
    }

    #[test]
    fn show_is_read_by_field() {
        let text = "Package: linux-image-riscv64\nVersion: 6.12.1-1\nArchitecture: riscv64\n\
                    Depends: foo (>= 1), linux-image-6.12.1-riscv64 (= 6.12.1-1) | bar\nSHA256: ab\n";
        let package = parse_show(text).unwrap();
        assert_eq!(package.name, "linux-image-riscv64:riscv64");
        assert_eq!(dependency(&package.depends, "linux-image-"), Some("linux-image-6.12.1-riscv64"));
        assert_eq!(dependency(&package.depends, "linux-binary-"), None);
        assert_eq!(parse_show("Package: x\n"), None);
    }
}
