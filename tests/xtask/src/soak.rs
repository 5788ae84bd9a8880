//! `cargo xtask soak`: a busy guest for minutes, with a code cache that fills again and again.
//!
//! The guest is Debian's kernel with `tests/soak`: processes that come and go, pipelines, and a program that writes code as
//! a compiler at run time does. Its first part is run interpreted, too, and has to end in the same state; over all of the
//! run, the emulator's own memory (without the guest's) has to stay as it is.

use crate::cpio::Archive;
use crate::process::{self, command};
use crate::{Result, bench, files, guests, setup};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: cargo xtask soak [options] [-- ARGUMENT...]

  --minutes N        about how long the compiled run takes (10); in all it takes two to three times that
  --hyperemu FILE    run this program instead of building it
  -- ARGUMENT...     more arguments for hyperemu, as `-- --seed 7`
";

/// Mebibytes of host code, for each core.
const CACHE: &str = "4";

/// Virtual seconds of the run by which the host's speed is known.
const TRIAL: f64 = 1.0;

/// Of the run, what is interpreted, too: that takes about five times as long.
const COMPARED: f64 = 0.2;

/// Mebibytes by which the emulator's own memory may differ between the first and the last third: about what the cores' decoded
/// code takes, which is dropped when it has grown to a bound.
const GROWTH: f64 = 64.0;

/// Exit status at the end of the virtual time asked for.
const TIME_IS_UP: i32 = 124;

struct Options<'a> {
    minutes: f64,
    hyperemu: Option<PathBuf>,
    arguments: Vec<&'a str>,
}

/// Runs the chore.
pub fn main(args: &[&str]) -> Result {
    if let ["--help" | "-h"] = args {
        print!("{USAGE}");
        return Ok(());
    }
    let mut options = Options { minutes: 10.0, hyperemu: None, arguments: Vec::new() };
    let mut rest = args.iter().copied();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("soak: {arg} takes a value\n{USAGE}"));
        match arg {
            "--minutes" => {
                let minutes = value()?.parse().ok().filter(|minutes| (0.1..=1e4).contains(minutes));
                options.minutes = minutes.ok_or("soak: --minutes takes 0.1 to 10000")?;
            }
            "--hyperemu" => options.hyperemu = Some(value()?.into()),
            "--" => options.arguments.extend(rest.by_ref()),
            other => return Err(format!("soak: no option `{other}`\n{USAGE}").into()),
        }
    }
    soak(&options)
}

fn soak(options: &Options) -> Result {
    setup::bench(false)?;
    let images = guests::root()?;
    guests::ensure(&images, false)?;
    let soak = Soak {
        hyperemu: bench::program(options.hyperemu.clone())?,
        kernel: images.join("linux-riscv64/Image"),
        initramfs: build(&images)?,
        arguments: &options.arguments,
    };
    let small = ["--jit-cache", CACHE];
    let trial = soak.run("trial", TRIAL, &small)?;
    let length = (options.minutes * 60.0 * TRIAL / trial.seconds).max(TRIAL);
    let part = (length * COMPARED).max(TRIAL);
    let long = soak.run("compiled", length, &small)?;
    let compiled = soak.run("compiled, a part", part, &small)?;
    let interpreted = soak.run("interpreted, the same part", part, &["--jit", "off"])?;
    report(&long, &compiled, &interpreted)
}

/// Says what the runs show; an error where it is not as it should be.
fn report(long: &Run, compiled: &Run, interpreted: &Run) -> Result {
    let (first, last) = long.thirds();
    println!("memory of the emulator itself: {first:.1} MiB in the first third, {last:.1} MiB in the last");
    let mut wrong = Vec::new();
    if last - first > GROWTH {
        wrong.push(format!("its memory grows: by {:.1} MiB", last - first));
    }
    if long.figure("/jit/flushes") == 0 {
        wrong.push("the code cache never filled: run for longer".into());
    }
    for name in ["instructions", "virtual_ns", "state_hash"] {
        let [one, other] = [compiled, interpreted].map(|run| run.stats[name].to_string());
        println!("{name}: {one} compiled, {other} interpreted");
        if one != other {
            wrong.push(format!("{name} differs between compiled and interpreted"));
        }
    }
    for run in [long, compiled, interpreted] {
        let complaints = ["STALE", "DIFFERENT", "Oops", "panic", "segfault"];
        let found = run.serial.lines().filter(|line| complaints.iter().any(|word| line.contains(word)));
        wrong.extend(found.map(|line| format!("the guest complains: {}", line.trim_end())));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// The initramfs of the guest, built into the cache of guest images unless it is there.
fn build(images: &Path) -> Result<PathBuf> {
    const GUEST: &str = "riscv64-linux-gnu-gcc";
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../soak");
    let mut base = files::read(&images.join("initramfs/riscv64-bare.cpio.gz"))?;
    let compiler = process::text(command(GUEST).arg("--version"))?;
    let key = files::digest(&sources)?.0 + &files::sha256(&base) + &compiler + include_str!("soak.rs");
    let place = images.join("soak").join(&files::sha256(key.as_bytes())[..16]);
    let image = place.join("initramfs.cpio");
    if image.is_file() {
        return Ok(image);
    }
    files::make_folder(&place)?;
    let churn = place.join("churn");
    let mut cc = command(GUEST);
    cc.args(["-O2", "-std=gnu11", "-static", "-Wall", "-Wextra", "-o"]).arg(&churn);
    process::run(cc.arg(sources.join("churn.c")))?;
    // Linux unpacks one archive after another, a plain one from an address that four divides.
    let mut archive = Archive::default();
    archive.file("bin/churn", 0o755, &files::read(&churn)?);
    archive.file("bin/soak", 0o755, &files::read(&sources.join("soak"))?);
    base.resize(base.len().next_multiple_of(4), 0);
    let new = place.join(format!(".new-{}", std::process::id()));
    files::write(&new, [base, archive.finish()].concat())?;
    files::rename(&new, &image)?;
    Ok(image)
}

struct Soak<'a> {
    hyperemu: PathBuf,
    kernel: PathBuf,
    initramfs: PathBuf,
    arguments: &'a [&'a str],
}

/// What a run left.
struct Run {
    /// Of the host.
    seconds: f64,
    stats: Value,
    serial: String,
    /// Mebibytes of the emulator's own memory, at equal distances.
    memory: Vec<f64>,
}

/// A process that ends with us.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Soak<'_> {
    /// Runs the guest for so many virtual seconds, and prints what it did.
    fn run(&self, what: &str, length: f64, options: &[&str]) -> Result<Run> {
        println!("{what}: {length:.1} virtual seconds");
        let stats = std::env::temp_dir().join(format!("hyperemu-soak-{}.json", std::process::id()));
        let mut command = self.command(length, options);
        command.arg("--stats").arg(&stats).stdout(Stdio::piped());
        let mut guard = Guard(command.spawn().map_err(|e| format!("{}: {e}", self.hyperemu.display()))?);
        let mut pipe = guard.0.stdout.take().ok_or("no pipe")?;
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
        });
        let begin = Instant::now();
        let mut memory = Vec::new();
        let status = loop {
            if let Some(status) = guard.0.try_wait()? {
                break status;
            }
            memory.extend(own_memory(guard.0.id()));
            std::thread::sleep(Duration::from_millis(200));
        };
        let seconds = begin.elapsed().as_secs_f64();
        let serial = reader.join().map_err(|_| "reading the console failed")??;
        if status.code() != Some(TIME_IS_UP) {
            let last: Vec<&str> = serial.lines().rev().take(20).collect();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
            return Err(format!("soak: the run ended ({status}) before its time was up\n{last}").into());
        }
        let run = Run { seconds, stats: serde_json::from_slice(&files::read(&stats)?)?, serial, memory };
        files::named(std::fs::remove_file(&stats), &stats)?;
        println!(
            "  {:.1} s, {} instructions, {} rounds; {} regions compiled, cache full {} times, code of {} pages changed",
            run.seconds,
            run.stats["instructions"],
            run.serial.matches("soak: round ").count(),
            run.figure("/jit/regions"),
            run.figure("/jit/flushes"),
            run.figure("/jit/invalidations"),
        );
        Ok(run)
    }

    fn command(&self, length: f64, options: &[&str]) -> Command {
        let mut command = command(&self.hyperemu.to_string_lossy());
        command.args([
            "--machine",
            "tv",
            "--headless",
            "--net",
            "none",
            "--serial",
            "stdio",
            "--speed",
            "max",
        ]);
        command.args(["--cpus", "2", "--memory", "256M", "--kernel"]).arg(&self.kernel);
        command.arg("--initrd").arg(&self.initramfs);
        command.args(["--append", "cryptomgr.notests console=ttyS0 RUN=\"soak\""]);
        command.args(["--timeout", &format!("{:.0}ms", length * 1e3)]).args(options).args(self.arguments);
        command
    }
}

impl Run {
    fn figure(&self, name: &str) -> u64 {
        self.stats.pointer(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Mean memory of the first and of the last third, without the start, in which all memory is new.
    fn thirds(&self) -> (f64, f64) {
        let all = self.memory.get(self.memory.len() / 20..).unwrap_or_default();
        let third = all.len().div_ceil(3).max(1);
        let mean =
            |part: Option<&[f64]>| part.map_or(0.0, |part| part.iter().sum::<f64>() / part.len() as f64);
        (mean(all.chunks(third).next()), mean(all.rchunks(third).next()))
    }
}

/// Mebibytes of memory of a process that are its alone: guest memory is shared memory.
fn own_memory(pid: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(memory: Vec<f64>, flushes: u64, hash: &str, serial: &str) -> Run {
        let stats = serde_json::json!({
            "instructions": 5, "virtual_ns": 7, "state_hash": hash, "jit": { "flushes": flushes },
        });
        Run { seconds: 1.0, stats, serial: serial.into(), memory }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let flat = || vec![10.0; 60];
        let fine = || run(flat(), 3, "ab", "soak: round 1");
        assert!(report(&fine(), &fine(), &fine()).is_ok());
        let grown: Vec<f64> = (0..60).map(|n| 2.0 * f64::from(n)).collect();
        for (long, compiled, why) in [
            (run(grown, 3, "ab", ""), fine(), "grows"),
            (run(flat(), 0, "ab", ""), fine(), "never filled"),
            (fine(), run(flat(), 3, "cd", ""), "state_hash differs"),
            (run(flat(), 3, "ab", "x\nchurn: STALE: 5\n"), fine(), "STALE"),
        ] {
            let error = report(&long, &compiled, &fine()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn thirds_are_of_what_follows_the_start() {
        let memory = [vec![0.0; 3], vec![1.0; 19], vec![5.0; 19], vec![2.0; 19]].concat();
        assert_eq!(run(memory, 0, "", "").thirds(), (1.0, 2.0));
        assert_eq!(run(Vec::new(), 0, "", "").thirds(), (0.0, 0.0));
    }

    #[test]
    fn our_own_memory_is_known() {
        assert!(own_memory(std::process::id()).unwrap() > 0.1);
    }
}
