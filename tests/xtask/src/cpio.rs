//! Archives in cpio's "newc" format, as Linux reads an initramfs
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Everything belongs to root, times are zero and inode numbers count up, so that the same content gives the
//! same bytes. Left out: hard links and checksums.

/// An archive being written.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;

impl Archive {
    /// Adds a folder with these permissions.
    pub fn folder(&mut self, name: &str, permissions: u32) {
        self.entry(name, FOLDER | permissions, (0, 0), &[]);
    }

    /// Adds a file with these permissions.
    pub fn file(&mut self, name: &str, permissions: u32, data: &[u8]) {
        self.entry(name, FILE | permissions, (0, 0), data);
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, name: &str, target: &str) {
        self.entry(name, SYMLINK | 0o777, (0, 0), target.as_bytes());
    }

    /// Adds a character device of this major and minor number.
    pub fn character_device(&mut self, name: &str, permissions: u32, device: (u32, u32)) {
        self.entry(name, CHARACTER | permissions, device, &[]);
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) {
        let inode = if mode == 0 { 0 } else { self.entries + 1 };
        self.entries += 1;
        let links = if mode & 0o170_000 == FOLDER { 2 } else { 1 };
        let (size, name_size) = (data.len() as u32, name.len() as u32 + 1);
        self.bytes.extend_from_slice(b"070701");
        for field in [inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0] {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn sample() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.folder("bin", 0o755);
        archive.file("bin/a", 0o755, b"hello");
        archive.symlink("bin/b", "a");
        archive.character_device("console", 0o600, (5, 1));
        archive.finish()
    }

    #[test]
    fn layout_is_newc() {
        let bytes = sample();
        assert_eq!(bytes.len() % 4, 0);
        // Header of 110 bytes, name "bin" and its NUL fill 114, padded to 116.
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[14..22], b"000041ed");
        assert_eq!(&bytes[110..116], b"bin\0\0\0");
        assert_eq!(&bytes[116..122], b"070701");
        assert_eq!(&bytes[116 + 54..116 + 62], b"00000005", "size of the file");
    }

    #[test]
    fn cpio_lists_it() {
        let Ok(mut child) =
            Command::new("cpio").arg("-itv").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        else {
            return; // cpio is an oracle where it is installed, not a requirement
        };
        child.stdin.take().unwrap().write_all(&sample()).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success());
        let text = String::from_utf8(out.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("drwxr-xr-x") && lines[0].ends_with("bin"), "{text}");
        assert!(lines[1].starts_with("-rwxr-xr-x") && lines[1].contains(" 5 "), "{text}");
        assert!(lines[2].ends_with("bin/b -> a"), "{text}");
        assert!(lines[3].starts_with("crw-------") && lines[3].contains("5,"), "{text}");
    }
}
