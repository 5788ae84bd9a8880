use super::super::testing::{Driver, torture};
use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

/// A directory with `inside/` (to be shared) and `secret`, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("hyperemu-9p-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("inside/dir")).unwrap();
        std::fs::write(path.join("secret"), b"secret").unwrap();
        std::fs::write(path.join("inside/file"), b"hello").unwrap();
        Scratch(path)
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.0.join("inside").join(name)
    }

    fn share(&self) -> Share {
        Share::new(&self.inside(""), "share").unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A client of one share, with the root as fid 0.
struct Client(Share);

macro_rules! body {
    ($($kind:ident $value:expr),*) => {{
        #[allow(unused_mut)]
        let mut body = Body::default();
        $( body.$kind($value); )*
        body
    }};
}

impl Client {
    fn new(share: Share) -> Client {
        let mut client = Client(share);
        client.ask(kind::VERSION, body!(u32 1 << 20, string b"9P2000.L")).unwrap();
        client.ask(kind::ATTACH, body!(u32 0, u32 u32::MAX, string b"root", string b"", u32 0)).unwrap();
        client
    }

    fn ask(&mut self, kind: u8, body: Body) -> Result<Vec<u8>> {
        let answer = self.0.answer(&body.message(kind, 77), MAX_MESSAGE as usize);
        let size = u32::from_le_bytes(answer[..4].try_into().unwrap());
        assert_eq!((size as usize, &answer[5..7]), (answer.len(), &[77, 0][..]));
        if answer[4] == kind::LERROR + 1 {
            return Err(Errno::from_raw_os_error(i32::from_le_bytes(answer[7..11].try_into().unwrap())));
        }
        assert_eq!(answer[4], kind + 1);
        Ok(answer[HEADER..].to_vec())
    }

    /// Walks from the root; returns how many names were walked.
    fn walk(&mut self, new: u32, names: &[&str]) -> Result<usize> {
        let _ = self.ask(kind::CLUNK, body!(u32 new));
        let mut body = body!(u32 0, u32 new, u16 names.len() as u16);
        for name in names {
            body.string(name.as_bytes());
        }
        let answer = self.ask(kind::WALK, body)?;
        assert_eq!(answer.len(), 2 + 13 * usize::from(answer[0]));
        Ok(answer[0].into())
    }

    fn open(&mut self, fid: u32, names: &[&str], flags: u32) -> Result<()> {
        self.walk(fid, names)?;
        self.ask(kind::LOPEN, body!(u32 fid, u32 flags)).map(|answer| assert_eq!(answer.len(), 17))
    }

    fn read(&mut self, fid: u32, offset: u64, count: u32) -> Result<Vec<u8>> {
        let answer = self.ask(kind::READ, body!(u32 fid, u64 offset, u32 count))?;
        assert_eq!(answer[..4], (answer.len() as u32 - 4).to_le_bytes());
        Ok(answer[4..].to_vec())
    }

    fn write(&mut self, fid: u32, offset: u64, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut body = body!(u32 fid, u64 offset, u32 bytes.len() as u32);
        body.0.extend_from_slice(bytes);
        self.ask(kind::WRITE, body)
    }

    /// Names from an open directory, some at a time.
    fn names(&mut self, fid: u32, count: u32) -> Vec<String> {
        let (mut names, mut offset) = (Vec::new(), 0);
        loop {
            let answer = self.ask(kind::READDIR, body!(u32 fid, u64 offset, u32 count)).unwrap();
            assert!(answer.len() <= 4 + count as usize);
            let mut fields = Fields(&answer[4..]);
            if fields.0.is_empty() {
                return names;
            }
            while !fields.0.is_empty() {
                fields.bytes(13).unwrap();
                offset = fields.u64().unwrap();
                fields.u8().unwrap();
                names.push(String::from_utf8(fields.string().unwrap().to_vec()).unwrap());
            }
        }
    }
}

#[test]
fn versions_are_agreed_on() {
    let scratch = Scratch::new("version");
    let mut client = Client(scratch.share());
    let mut version = |size: u32, name: &[u8]| client.ask(kind::VERSION, body!(u32 size, string name));
    assert_eq!(version(8192, b"9P2000.L").unwrap(), body!(u32 8192, string b"9P2000.L").0);
    assert_eq!(version(u32::MAX, b"9P2000.L").unwrap()[..4], MAX_MESSAGE.to_le_bytes());
    assert_eq!(version(8192, b"9P2000").unwrap(), body!(u32 8192, string b"unknown").0);
    assert_eq!(version(100, b"9P2000.L"), Err(Errno::INVAL));
    assert_eq!(client.ask(102, Body::default()), Err(Errno::OPNOTSUPP));
    assert_eq!(client.ask(kind::WALK, body!(u32 0, u32 1, u16 0)), Err(Errno::BADF));
}

#[test]
fn files_are_read_and_written() {
    let scratch = Scratch::new("files");
    let mut client = Client::new(scratch.share());
    client.open(1, &["file"], 2).unwrap();
    assert_eq!(client.read(1, 1, 100).unwrap(), b"ello");
    assert_eq!(client.read(1, 100, 100).unwrap(), b"");
    client.write(1, 5, b" world").unwrap();
    assert_eq!(std::fs::read(scratch.inside("file")).unwrap(), b"hello world");
    assert_eq!(client.write(0, 0, b"x"), Err(Errno::BADF), "not open");
    client.open(2, &["file"], 0).unwrap();
    assert_eq!(client.write(2, 0, b"x"), Err(Errno::BADF), "not open for writing");
    client.open(2, &["file"], 0o1001).unwrap();
    assert_eq!(std::fs::read(scratch.inside("file")).unwrap(), b"", "truncated");
    client.ask(kind::FSYNC, body!(u32 2, u32 0)).unwrap();

    client.walk(3, &["dir"]).unwrap();
    let create = |flags: u32| body!(u32 3, string b"new", u32 flags, u32 0o4644, u32 0);
    client.ask(kind::LCREATE, create(0o302)).unwrap();
    client.write(3, 2, b"ab").unwrap();
    assert_eq!(std::fs::read(scratch.inside("dir/new")).unwrap(), b"\0\0ab");
    let mode = std::fs::metadata(scratch.inside("dir/new")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7000, 0, "not setuid");
    client.walk(3, &["dir"]).unwrap();
    assert_eq!(client.ask(kind::LCREATE, create(0o302)), Err(Errno::EXIST));
}

#[test]
fn walks_end_where_names_do() {
    let scratch = Scratch::new("walk");
    let mut client = Client::new(scratch.share());
    assert_eq!(client.walk(1, &["dir", "..", "file"]), Ok(3));
    assert_eq!(client.walk(1, &["dir", "none", "file"]), Ok(1));
    assert_eq!(client.ask(kind::GETATTR, body!(u32 1, u64 0)), Err(Errno::BADF), "not made");
    assert_eq!(client.walk(1, &["none"]), Err(Errno::NOENT));
    assert_eq!(client.walk(1, &["file", "x"]), Ok(1));
    assert_eq!(client.walk(1, &[]), Ok(0));
    assert_eq!(client.ask(kind::WALK, body!(u32 0, u32 1, u16 0)), Err(Errno::BADF), "in use");
    assert_eq!(client.ask(kind::WALK, body!(u32 0, u32 2, u16 17)), Err(Errno::INVAL));
    for fid in 2..MAX_FIDS as u32 {
        client.ask(kind::WALK, body!(u32 0, u32 fid, u16 0)).unwrap();
    }
    assert_eq!(client.ask(kind::WALK, body!(u32 0, u32 9999, u16 0)), Err(Errno::NFILE));
}

#[test]
fn nothing_leads_out() {
    let scratch = Scratch::new("out");
    symlink(scratch.0.join("secret"), scratch.inside("absolute")).unwrap();
    symlink("../secret", scratch.inside("relative")).unwrap();
    symlink("..", scratch.inside("up")).unwrap();
    let mut client = Client::new(scratch.share());
    let root = client.ask(kind::GETATTR, body!(u32 0, u64 0)).unwrap()[8..21].to_vec();
    assert_eq!(client.walk(1, &["..", ".."]), Ok(2));
    assert_eq!(
        client.ask(kind::GETATTR, body!(u32 1, u64 0)).unwrap()[8..21],
        root,
        "the root is its own parent"
    );
    assert_eq!(client.walk(1, &["..", "secret"]), Ok(1));
    assert_eq!(client.walk(1, &["up", "secret"]), Ok(1));
    for name in ["../secret", "/etc/passwd", "", ".", "dir/../../secret", "a\0b"] {
        assert_eq!(client.walk(1, &[name]), Err(Errno::NOENT), "{name:?}");
    }
    for link in ["absolute", "relative", "up"] {
        assert_eq!(client.open(1, &[link], 0), Err(Errno::LOOP), "{link}");
        let time = body!(u32 1, u32 1 << 3, u32 0, u32 0, u32 0, u64 0, u64 0, u64 0, u64 0, u64 0);
        assert_eq!(client.ask(kind::SETATTR, time), Err(Errno::LOOP));
        let mode = body!(u32 1, u32 1, u32 0, u32 0, u32 0, u64 0, u64 0, u64 0, u64 0, u64 0);
        assert_eq!(client.ask(kind::SETATTR, mode), Err(Errno::OPNOTSUPP));
        client.walk(2, &[]).unwrap();
        let create = body!(u32 2, string link.as_bytes(), u32 0o1102, u32 0o600, u32 0);
        assert_eq!(client.ask(kind::LCREATE, create), Err(Errno::LOOP));
    }
    for name in [&b"../x"[..], b"..", b".", b"/tmp/x", b""] {
        assert_eq!(client.ask(kind::MKDIR, body!(u32 0, string name, u32 0o755, u32 0)), Err(Errno::INVAL));
        assert_eq!(client.ask(kind::UNLINKAT, body!(u32 0, string name, u32 0x200)), Err(Errno::INVAL));
        let rename = body!(u32 0, string b"file", u32 0, string name);
        assert_eq!(client.ask(kind::RENAMEAT, rename), Err(Errno::INVAL));
    }
    assert_eq!(std::fs::read(scratch.0.join("secret")).unwrap(), b"secret");
    let metadata = std::fs::metadata(scratch.0.join("secret")).unwrap();
    assert_ne!(metadata.permissions().mode() & 0o777, 0);
    // A directory that the host exchanges for a link while the guest holds it.
    client.open(1, &["dir"], 0).unwrap();
    client.walk(2, &["dir"]).unwrap();
    std::fs::remove_dir(scratch.inside("dir")).unwrap();
    symlink("..", scratch.inside("dir")).unwrap();
    let create = body!(u32 2, string b"x", u32 0o102, u32 0o600, u32 0);
    assert_eq!(client.ask(kind::LCREATE, create), Err(Errno::NOTDIR));
}

#[test]
fn special_files_are_not_opened() {
    let scratch = Scratch::new("special");
    let fifo = scratch.inside("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut client = Client::new(scratch.share());
    assert_eq!(client.open(1, &["fifo"], 0), Err(Errno::PERM), "it would block");
    let node = body!(u32 0, string b"null", u32 0o20666, u32 1, u32 3, u32 0);
    assert_eq!(client.ask(kind::MKNOD, node), Err(Errno::PERM));
}

#[test]
fn names_are_listed_in_order_while_they_go() {
    let scratch = Scratch::new("list");
    for i in (0..40).rev() {
        std::fs::write(scratch.inside(&format!("dir/n{i:02}")), b"").unwrap();
    }
    let mut client = Client::new(scratch.share());
    client.open(1, &["dir"], 0o200000).unwrap();
    let mut expected = vec![".".to_string(), "..".to_string()];
    expected.extend((0..40).map(|i| format!("n{i:02}")));
    assert_eq!(client.names(1, 100), expected);
    assert_eq!(client.names(1, 4096), expected);
    // Removing what was read must not skip what was not.
    let answer = client.ask(kind::READDIR, body!(u32 1, u64 0, u32 140)).unwrap();
    assert!(answer.len() > 100);
    for i in 0..3 {
        let gone = format!("n{i:02}");
        client.walk(2, &["dir"]).unwrap();
        client.ask(kind::UNLINKAT, body!(u32 2, string gone.as_bytes(), u32 0)).unwrap();
    }
    let answer = client.ask(kind::READDIR, body!(u32 1, u64 5, u32 27)).unwrap();
    assert_eq!(&answer[answer.len() - 3..], b"n03");
    assert_eq!(client.ask(kind::READDIR, body!(u32 0, u64 0, u32 100)), Err(Errno::BADF), "not open");
}

#[test]
fn attributes_follow_the_host() {
    let scratch = Scratch::new("attributes");
    let mut client = Client::new(scratch.share());
    client.walk(1, &["file"]).unwrap();
    let attributes = client.ask(kind::GETATTR, body!(u32 1, u64 STATS_BASIC)).unwrap();
    assert_eq!(attributes.len(), 153);
    assert_eq!(attributes[49..57], 5u64.to_le_bytes(), "size");
    let set = |valid: u32, mode: u32, owner: u32, size: u64, seconds: u64| {
        let mut body = body!(u32 1, u32 valid, u32 mode, u32 owner, u32 owner, u64 size);
        body.u64(seconds).u64(5).u64(seconds).u64(5);
        body
    };
    client.ask(kind::SETATTR, set(1 | 1 << 3, 0o4600, 0, 3, 0)).unwrap();
    client.ask(kind::SETATTR, set(1 << 5 | 1 << 8, 0, 0, 0, 1_000_000)).unwrap();
    let metadata = std::fs::metadata(scratch.inside("file")).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o7777), (3, 0o600));
    let mtime = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(mtime, std::time::Duration::new(1_000_000, 5));
    assert_eq!(client.ask(kind::SETATTR, set(2, 0, 54_321, 0, 0)), Err(Errno::PERM));
    assert_eq!(client.ask(kind::SETATTR, set(8, 0, 0, u64::MAX, 0)), Err(Errno::FBIG));
    assert_eq!(client.ask(kind::STATFS, body!(u32 1)).unwrap().len(), 60);
    assert_eq!(client.ask(kind::XATTRWALK, body!(u32 1, u32 2, string b"user.x")), Err(Errno::NODATA));
    let lock = body!(u32 1, u8 0, u32 0, u64 0, u64 0, u32 1, string b"c");
    assert_eq!(client.ask(kind::LOCK, lock).unwrap(), [0]);
    let lock = body!(u32 1, u8 0, u64 3, u64 4, u32 1, string b"c");
    assert_eq!(client.ask(kind::GETLOCK, lock).unwrap(), body!(u8 2, u64 3, u64 4, u32 1, string b"c").0);
    assert_eq!(client.ask(kind::FLUSH, body!(u16 3)).unwrap(), []);
}

#[test]
fn names_are_made_moved_and_removed() {
    let scratch = Scratch::new("names");
    let mut client = Client::new(scratch.share());
    client.ask(kind::MKDIR, body!(u32 0, string b"sub", u32 0o755, u32 0)).unwrap();
    client.ask(kind::SYMLINK, body!(u32 0, string b"link", string b"/any/where", u32 0)).unwrap();
    client.walk(1, &["link"]).unwrap();
    assert_eq!(client.ask(kind::READLINK, body!(u32 1)).unwrap(), body!(string b"/any/where").0);
    client.walk(1, &["file"]).unwrap();
    client.walk(2, &["sub"]).unwrap();
    client.ask(kind::LINK, body!(u32 2, u32 1, string b"hard")).unwrap();
    client.open(3, &["sub", "hard"], 0).unwrap();
    client.walk(4, &["sub", "hard"]).unwrap();
    client.ask(kind::RENAMEAT, body!(u32 0, string b"sub", u32 0, string b"moved")).unwrap();
    assert_eq!(client.read(3, 0, 9).unwrap(), b"hello", "open files stay");
    client.ask(kind::LOPEN, body!(u32 4, u32 0)).unwrap();
    assert!(scratch.inside("moved/hard").exists());
    client.ask(kind::RENAME, body!(u32 1, u32 2, string b"other")).unwrap();
    assert!(scratch.inside("moved/other").exists(), "the directory's identifier followed");
    client.ask(kind::UNLINKAT, body!(u32 2, string b"hard", u32 0)).unwrap();
    assert_eq!(client.read(3, 0, 9).unwrap(), b"hello", "an open file can be read without a name");
    assert_eq!(client.ask(kind::GETATTR, body!(u32 3, u64 0)).unwrap().len(), 153);
    client.walk(5, &["moved"]).unwrap();
    assert_eq!(client.ask(kind::REMOVE, body!(u32 5)), Err(Errno::NOTEMPTY));
    assert_eq!(client.ask(kind::CLUNK, body!(u32 5)), Err(Errno::BADF), "gone all the same");
    client.ask(kind::REMOVE, body!(u32 1)).unwrap();
    client.ask(kind::UNLINKAT, body!(u32 0, string b"moved", u32 0x200)).unwrap();
    assert!(!scratch.inside("moved").exists());
    client.walk(6, &[]).unwrap();
    assert_eq!(client.ask(kind::REMOVE, body!(u32 6)), Err(Errno::BUSY), "the root stays");
}

#[test]
fn open_files_are_open_after_a_restore() {
    let scratch = Scratch::new("restore");
    let mut client = Client::new(scratch.share());
    client.open(1, &["file"], 2).unwrap();
    client.open(2, &["dir"], 0).unwrap();
    client.names(2, 100);
    let saved = client.0.save();
    let mut other = Client(scratch.share());
    other.0.restore(&saved).unwrap();
    assert_eq!(other.0.save(), saved);
    assert_eq!(other.read(1, 0, 5).unwrap(), b"hello");
    other.write(1, 0, b"J").unwrap();
    assert_eq!(client.read(1, 0, 5).unwrap(), b"Jello");
    other.0.restore(&saved).unwrap();
    std::fs::remove_file(scratch.inside("file")).unwrap();
    assert_eq!(other.read(1, 0, 5), Err(Errno::STALE));
    let mut evil = State::default();
    evil.fids.insert(1, Fid { path: vec![b"..".to_vec()], ..Fid::default() });
    assert!(other.0.restore(&state::encode(&evil)).is_err());
}

#[test]
fn speaks_through_the_queue() {
    let scratch = Scratch::new("queue");
    let mut driver = Driver::new(scratch.share(), F_MOUNT_TAG);
    assert_eq!(driver.config(0, 7), b"\x05\0share");
    let version = body!(u32 8192, string b"9P2000.L").message(kind::VERSION, u16::MAX);
    let answer = driver.ask(0, &version, 100).unwrap();
    assert_eq!(answer, body!(u32 8192, string b"9P2000.L").message(kind::VERSION + 1, u16::MAX));
    let no_room = driver.ask(0, &version, 12).unwrap();
    assert_eq!((no_room[4], no_room[7]), (7, Errno::NOBUFS.raw_os_error() as u8));
    assert_eq!(driver.ask(0, &version[..5], 12).unwrap()[4], 7, "cut");
    driver.bench.check_save_restore();
    driver.ask(0, &version, 3);
    assert_eq!(driver.status(), 79);
}

#[test]
fn survives_anything() {
    let scratch = Scratch::new("torture");
    torture(|| Box::new(scratch.share()), F_MOUNT_TAG);
}

/// Any bytes get an answer that is a message; requests of sense with arbitrary fields do, too.
#[test]
fn any_message_is_answered() {
    let scratch = Scratch::new("messages");
    arbtest::arbtest(|u| {
        let mut client = Client::new(scratch.share());
        for _ in 0..u.int_in_range(1..=20)? {
            let kind = *u.choose(&[
                8, 12, 14, 16, 20, 22, 24, 26, 30, 40, 50, 52, 54, 70, 72, 74, 76, 100, 104, 110, 116, 118,
                120, 122,
            ])?;
            let mut body = Body::default();
            for _ in 0..u.int_in_range(0..=6)? {
                match u.int_in_range(0..=4)? {
                    0 | 1 => body.u32(u.int_in_range(0..=3)?),
                    2 => body.u64(u.arbitrary()?),
                    3 => body.string(u.choose(&["file", "dir", "..", "new", "a/b"])?.as_bytes()),
                    _ => body.u16(u.int_in_range(0..=3)?),
                };
            }
            let mut message = body.message(kind, 5);
            if u.ratio(1, 8)? {
                message = u.arbitrary()?;
            }
            let room = u.int_in_range(0..=2000)?;
            let answer = client.0.answer(&message, room);
            assert_eq!(answer[..4], (answer.len() as u32).to_le_bytes());
        }
        assert_eq!(std::fs::read(scratch.0.join("secret")).unwrap(), b"secret");
        Ok(())
    })
    .budget_ms(1000);
}
