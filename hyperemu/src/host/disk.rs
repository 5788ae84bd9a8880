//! Disks in files: raw images, and qcow2 images by the crate imago.
//!
//! Left out: other formats, snapshots inside an image, growing. An image is locked while it is in use, so that two
//! machines do not ruin it; several readers may share it.

use devices_core::host::BlockBackend;
use imago::file::File as Storage;
use imago::qcow2::Qcow2;
use imago::{FormatAccess, FormatDriverBuilder, PermissiveImplicitOpenGate};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// First bytes of a qcow2 image.
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

/// How an image is laid out.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// Byte for byte.
    Raw,
    /// QEMU's, versions 2 and 3, with its backing files.
    Qcow2,
}

/// `--drive`: `file=F[,format=raw|qcow2][,readonly]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriveSpec {
    /// The image.
    pub file: PathBuf,
    /// Its format; by its first bytes if `None`.
    pub format: Option<Format>,
    /// The guest can not write it.
    pub read_only: bool,
}

impl FromStr for DriveSpec {
    type Err = String;

    /// Reads the option's value; in a file name, `,,` stands for a comma.
    fn from_str(text: &str) -> Result<DriveSpec, String> {
        let expected = "expected file=F[,format=raw|qcow2][,readonly]";
        let (mut file, mut format, mut read_only) = (None, None, false);
        for part in split_at_commas(text) {
            let (key, value) =
                part.split_once('=').map_or((part.as_str(), None), |(key, value)| (key, Some(value)));
            match (key, value) {
                ("file", Some(value)) if !value.is_empty() => {
                    if file.replace(PathBuf::from(value)).is_some() {
                        return Err(format!("more than one file; {expected}"));
                    }
                }
                ("format", Some("raw")) => format = Some(Format::Raw),
                ("format", Some("qcow2")) => format = Some(Format::Qcow2),
                ("format", value) => {
                    let value = value.unwrap_or_default();
                    return Err(format!("unknown format {value:?}; expected raw or qcow2"));
                }
                ("readonly", None | Some("on" | "true")) => read_only = true,
                ("readonly", Some("off" | "false")) => read_only = false,
                _ => return Err(format!("did not understand {part:?}; {expected}")),
            }
        }
        let file = file.ok_or_else(|| format!("no file is named; {expected}"))?;
        Ok(DriveSpec { file, format, read_only })
    }
}

fn split_at_commas(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let escaped = c == ',' && rest.next_if_eq(&',').is_some();
        match parts.last_mut() {
            Some(part) if c != ',' || escaped => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts
}

/// Opens an image. Errors name the file and say what to do.
pub fn open(spec: &DriveSpec) -> Result<Box<dyn BlockBackend>, String> {
    let name = spec.file.display();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied if !spec.read_only => {
            format!("drive {name}: {error}; add ,readonly to use it without writing")
        }
        _ => format!("drive {name}: {error}"),
    };
    let mut file = OpenOptions::new().read(true).write(!spec.read_only).open(&spec.file).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(format!(
            "drive {name}: a directory; expected a disk image (use --share for a directory)"
        ));
    }
    match if spec.read_only { file.try_lock_shared() } else { file.try_lock() } {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(format!("drive {name}: another machine is using it")),
        // Some file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let is_qcow2 = starts_with_magic(&mut file).map_err(failed)?;
    match spec.format {
        None if is_qcow2 => qcow2(spec, file),
        None | Some(Format::Raw) => Ok(Box::new(Raw::new(file, spec.read_only).map_err(failed)?)),
        Some(Format::Qcow2) if is_qcow2 => qcow2(spec, file),
        Some(Format::Qcow2) => Err(format!("drive {name}: not a qcow2 image; try format=raw")),
    }
}

fn starts_with_magic(file: &mut File) -> io::Result<bool> {
    let mut magic = [0; 4];
    match file.read_exact(&mut magic) {
        Ok(()) => Ok(magic == QCOW2_MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn check_range(len: u64, offset: u64, count: usize) -> io::Result<()> {
    match offset.checked_add(count as u64) {
        Some(end) if end <= len => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "past the end of the disk")),
    }
}

fn check_writable(read_only: bool) -> io::Result<()> {
    if read_only { Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)) } else { Ok(()) }
}

/// A file that is the disk, byte for byte.
struct Raw {
    file: File,
    len: u64,
    read_only: bool,
}

impl Raw {
    fn new(mut file: File, read_only: bool) -> io::Result<Raw> {
        // The end, not the metadata's length: that is zero for block devices.
        let len = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        if len == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty; expected a disk image"));
        }
        Ok(Raw { file, len, read_only })
    }
}

impl BlockBackend for Raw {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        check_range(self.len, offset, into.len())?;
        self.file.read_exact_at(into, offset)
    }

    fn write_at(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        check_writable(self.read_only)?;
        check_range(self.len, offset, from.len())?;
        self.file.write_all_at(from, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.read_only { Ok(()) } else { self.file.sync_data() }
    }
}

/// A qcow2 image.
struct Qcow {
    image: FormatAccess<Storage>,
    path: PathBuf,
    read_only: bool,
    /// Holds the lock; imago opens the file by itself.
    _lock: File,
}

fn qcow2(spec: &DriveSpec, lock: File) -> Result<Box<dyn BlockBackend>, String> {
    check_tables(&lock)
        .map_err(|why| format!("drive {}: a damaged qcow2 image: {why}", spec.file.display()))?;
    let open = |path: &Path| {
        Qcow2::<Storage>::builder_path(path)
            .write(!spec.read_only)
            .open(PermissiveImplicitOpenGate::default())
    };
    let image = open(&spec.file).map_err(|error| format!("drive {}: qcow2: {error}", spec.file.display()))?;
    let image = FormatAccess::new(image);
    Ok(Box::new(Qcow { image, path: spec.file.clone(), read_only: spec.read_only, _lock: lock }))
}

/// The tables that the header points to must lie in the file: the library looks only once they are used, and the user
/// should hear of it before the guest does. Fields as in QEMU's docs/interop/qcow2.rst.
fn check_tables(file: &File) -> Result<(), String> {
    let mut header = [0; 72];
    file.read_exact_at(&mut header, 0).map_err(|_| "its header is cut off".to_string())?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    let word = |at: usize| u64::from(u32::from_be_bytes([0, 1, 2, 3].map(|i| header[at + i])));
    let long = |at: usize| word(at) << 32 | word(at + 4);
    let cluster = 1u64.checked_shl(word(20) as u32).unwrap_or(u64::MAX);
    for (table, at, bytes) in [
        ("table of clusters", long(40), word(36).saturating_mul(8)),
        ("table of reference counts", long(48), word(56).saturating_mul(cluster)),
    ] {
        if at.checked_add(bytes).is_none_or(|end| end > size.next_multiple_of(cluster.clamp(1, 1 << 21))) {
            return Err(format!("its {table} lies past the end of the file"));
        }
    }
    Ok(())
}

impl BlockBackend for Qcow {
    fn len(&self) -> u64 {
        self.image.size()
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        check_range(self.image.size(), offset, into.len())?;
        self.image.read(into, offset)
    }

    fn write_at(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        check_writable(self.read_only)?;
        check_range(self.image.size(), offset, from.len())?;
        self.image.write(from, offset)
    }

    fn write_zeroes(&mut self, offset: u64, len: u64) -> io::Result<()> {
        check_writable(self.read_only)?;
        check_range(self.image.size(), offset, usize::try_from(len).unwrap_or(usize::MAX))?;
        self.image.write_zeroes(offset, len)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.read_only {
            return Ok(());
        }
        self.image.flush()?;
        self.image.sync()
    }
}

impl Drop for Qcow {
    fn drop(&mut self) {
        // Tables of the image are written late: without this, it would need a repair.
        if let Err(error) = self.flush() {
            eprintln!("hyperemu: drive {}: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let path = std::env::temp_dir().join(format!("hyperemu-disk-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Dir(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn spec(file: PathBuf) -> DriveSpec {
        DriveSpec { file, format: None, read_only: false }
    }

    fn read(disk: &mut dyn BlockBackend, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0xaa; len];
        disk.read_at(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn options_are_parsed() {
        let parse = |text: &str| text.parse::<DriveSpec>();
        assert_eq!(parse("file=a.img"), Ok(spec("a.img".into())));
        let expected = DriveSpec { file: "a,b=c".into(), format: Some(Format::Qcow2), read_only: true };
        assert_eq!(parse("format=qcow2,file=a,,b=c,readonly"), Ok(expected));
        assert!(!parse("file=a,readonly=off").unwrap().read_only);
        for (bad, why) in [
            ("", "expected file=F[,format=raw|qcow2][,readonly]"),
            ("a.img", "expected file="),
            ("file=", "expected file="),
            ("readonly", "no file is named"),
            ("file=a,file=b", "more than one file"),
            ("file=a,format=vmdk", "expected raw or qcow2"),
            ("file=a,format", "expected raw or qcow2"),
            ("file=a,readonly=perhaps", "did not understand"),
            ("file=a,cache=none", "did not understand \"cache=none\""),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_raw_image_is_read_and_written_in_place() {
        let dir = Dir::new("raw");
        let path = dir.file("disk.img");
        std::fs::write(&path, vec![7; 4096]).unwrap();
        {
            let mut disk = open(&spec(path.clone())).unwrap();
            assert_eq!((disk.len(), disk.read_only()), (4096, false));
            disk.write_at(4000, &[1; 96]).unwrap();
            disk.write_zeroes(0, 10).unwrap();
            disk.flush().unwrap();
            for (offset, len) in [(4001, 96), (u64::MAX, 1), (4097, 0)] {
                assert!(disk.write_at(offset, &vec![1; len]).is_err());
                assert!(disk.read_at(offset, &mut vec![1; len]).is_err());
            }
            assert!(open(&spec(path.clone())).err().unwrap().contains("another machine"));
        }
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(
            (bytes.len(), &bytes[..11], &bytes[3999..4001]),
            (4096, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..], &[7, 1][..])
        );
        let reader = DriveSpec { read_only: true, ..spec(path.clone()) };
        let (mut one, two) = (open(&reader).unwrap(), open(&reader).unwrap());
        assert!(one.write_at(0, &[0]).is_err() && two.read_only());
        assert!(one.flush().is_ok());
    }

    #[test]
    fn mistakes_are_told() {
        let dir = Dir::new("mistakes");
        let error = |spec: &DriveSpec| open(spec).err().unwrap();
        assert!(error(&spec(dir.file("none"))).contains("none"));
        assert!(error(&spec(dir.0.clone())).contains("directory"));
        std::fs::write(dir.file("empty"), b"").unwrap();
        assert!(error(&spec(dir.file("empty"))).contains("empty"));
        std::fs::write(dir.file("raw"), [0; 512]).unwrap();
        let wrong = DriveSpec { format: Some(Format::Qcow2), ..spec(dir.file("raw")) };
        assert!(error(&wrong).contains("format=raw"));
        std::fs::write(dir.file("torn"), QCOW2_MAGIC).unwrap();
        assert!(error(&spec(dir.file("torn"))).contains("qcow2"));
    }

    /// qemu-img, from the Debian package qemu-utils.
    fn qemu_img(args: &[&str]) -> String {
        let output =
            Command::new("qemu-img").args(args).output().expect("qemu-img is installed (qemu-utils)");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "qemu-img {args:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    #[test]
    fn a_qcow2_image_stays_clean() {
        let dir = Dir::new("qcow2");
        let (base, over, raw) = (dir.file("base.img"), dir.file("over.qcow2"), dir.file("out.img"));
        let mut expected: Vec<u8> = (0..1 << 20).map(|i: u32| (i / 4096) as u8).collect();
        std::fs::write(&base, &expected).unwrap();
        let (base, over_name, raw) = (base.to_str().unwrap(), over.to_str().unwrap(), raw.to_str().unwrap());
        qemu_img(&["create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", over_name, "1M"]);
        {
            let mut disk = open(&spec(over.clone())).unwrap();
            assert_eq!(disk.len(), 1 << 20);
            for i in 0..200u64 {
                let at = (i * 104_729 % ((1 << 20) - 700)) as usize;
                let piece = vec![i as u8 ^ 0x5a; 1 + (i as usize * 37) % 700];
                disk.write_at(at as u64, &piece).unwrap();
                expected[at..at + piece.len()].copy_from_slice(&piece);
            }
            disk.write_zeroes(65_000, 200_000).unwrap();
            expected[65_000..265_000].fill(0);
            disk.flush().unwrap();
            assert_eq!(read(&mut *disk, 0, 1 << 20), expected);
            assert!(disk.write_at((1 << 20) - 1, &[0, 0]).is_err());
        }
        assert!(qemu_img(&["check", over_name]).contains("No errors"));
        qemu_img(&["convert", "-O", "raw", over_name, raw]);
        assert!(std::fs::read(raw).unwrap() == expected, "qemu-img reads what was written");
        let reader = DriveSpec { read_only: true, ..spec(over) };
        assert!(open(&reader).unwrap().write_at(0, &[0]).is_err());
    }
}
