//! Zephyr's Bluetooth controller, unmodified, with a real host on its serial line and its frames in a capture.

use machine_tests::{Emulator, guest};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn controller() -> std::path::PathBuf {
    guest("zephyr-hci-uart-nrf52dk/firmware.hex")
}

/// Runs a program to its end; its standard output.
#[track_caller]
fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The host's side: reset, features, address, then so many seconds of advertising and of scanning.
fn host(port: &str, seconds: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bluetooth/host.py");
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", guest("python/bumble")).env("PYTHONDONTWRITEBYTECODE", "1");
    let text = output(python.args([script, port, seconds]));
    serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
}

/// A frame of a capture as tshark shows it.
#[derive(Debug)]
struct Frame {
    /// In seconds.
    time: f64,
    /// Counted from 2402 MHz.
    channel: u8,
    address: String,
    kind: u8,
    advertiser: String,
    /// From the access address on.
    bytes: Vec<u8>,
}

fn dissect(capture: &Path) -> Vec<Frame> {
    let tshark = |options: &[&str]| {
        let mut tshark = Command::new("tshark");
        let text = output(tshark.arg("-r").arg(capture).args(options));
        String::from_utf8(text).expect("tshark writes text")
    };
    let complaints = tshark(&["-Y", "_ws.malformed || _ws.expert.severity >= 0x600000"]);
    assert_eq!(complaints, "", "tshark finds errors or warnings");
    let mut options = vec!["-T", "fields"];
    for field in [
        "frame.time_epoch",
        "btle_rf.channel",
        "btle.access_address",
        "btle.advertising_header.pdu_type",
        "btle.advertising_address",
    ] {
        options.extend(["-e", field]);
    }
    let raw: Value = serde_json::from_str(&tshark(&["-T", "jsonraw"])).expect("JSON");
    let raw = raw.as_array().expect("a list of frames");
    let hex = |text: &str| {
        let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        (0..text.len()).step_by(2).map(digits).collect::<Vec<u8>>()
    };
    let frame = |(line, raw): (&str, &Value)| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [time, channel, address, kind, advertiser] = fields[..] else { panic!("fields of {line:?}") };
        let number = |text: &str| {
            let digits = text.strip_prefix("0x");
            digits.map_or_else(|| text.parse(), |digits| u8::from_str_radix(digits, 16)).expect("a number")
        };
        let bytes = raw["_source"]["layers"]["frame_raw"][0].as_str().expect("the frame's bytes");
        Frame {
            time: time.parse().expect("a time"),
            channel: number(channel),
            address: address.to_owned(),
            kind: number(kind),
            advertiser: advertiser.to_owned(),
            bytes: hex(bytes)[10..].to_vec(),
        }
    };
    tshark(&options).lines().zip(raw).map(frame).collect()
}

/// The check of an advertisement (Core Specification, volume 6, part B, 3.1.1), as its three bytes on the air.
fn check(pdu: &[u8]) -> [u8; 3] {
    // Bit 0 is the highest power here: the register runs the other way round than in the emulator.
    let mut register = 0x55_5555_u32.reverse_bits() >> 8;
    for byte in pdu {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            register = register >> 1 ^ if register & 1 != 0 { 0xda_6000 } else { 0 };
        }
    }
    let [a, b, c, _] = register.to_le_bytes();
    [a, b, c]
}

#[test]
fn the_controller_boots_and_sleeps() {
    let outcome = Emulator::new("nrf52dk")
        .arg(controller())
        .args(["--timeout", "60s", "--headless"])
        .run()
        .ends_with(124);
    // It has no console. It sets the reset pin in UICR, which takes a reset to count.
    assert_eq!((outcome.text().as_str(), outcome.stat("resets").as_u64()), ("", Some(1)), "{outcome}");
    assert_eq!(outcome.stat("unimplemented"), &Value::Array(Vec::new()), "{outcome}");
    let instructions = outcome.stat("instructions").as_u64();
    assert!(instructions.is_some_and(|count| count < 1_000_000), "{instructions:?} in a minute");
}

#[test]
fn a_host_advertises_and_scans() {
    let emulator = Emulator::plain(["--machine", "nrf52dk", "--serial", "tcp:127.0.0.1:0,server"]);
    let (capture, again, log) =
        (emulator.path("a.pcapng"), emulator.path("b.pcapng"), emulator.path("run.rec"));
    let mut session = emulator
        .args(["--speed", "1x", "--timeout", "26s", "--headless", "--pcap"])
        .arg(&capture)
        .arg("--record")
        .arg(&log)
        .arg(controller())
        .start();
    let message = session.message(r"listens on 127\.0\.0\.1:\d+");
    let port = message.rsplit(':').next().expect("the message ends with the port").to_owned();
    let learnt = host(&port, "10.5");
    let first = session.finish().ends_with(124);

    assert_eq!((&learnt["company"], &learnt["heard"]), (&Value::from(0x5f1), &Value::from(0)), "{learnt}");
    let features = learnt["features"].as_str().expect("text");
    let features = u64::from_str_radix(features, 16).expect("hexadecimal").swap_bytes();
    // Encryption, privacy, 2M PHY, channel selection algorithm #2.
    assert_eq!(features & 0x4141, 0x4141, "{learnt}");

    let frames = dissect(&capture);
    let span = frames.last().expect("frames").time - frames[0].time;
    assert!((10.0..12.0).contains(&span), "{span} s of advertising");
    assert!((90..=110).contains(&(frames.len() / 3)), "{} frames", frames.len());
    for event in frames.chunks_exact(3) {
        let channels: Vec<u8> = event.iter().map(|frame| frame.channel).collect();
        assert_eq!(channels, [0, 12, 39], "channels 37, 38 and 39: {event:?}");
        assert!(event[2].time - event[0].time < 0.02, "{event:?}");
    }
    for (one, next) in frames.iter().step_by(3).zip(frames.iter().skip(3).step_by(3)) {
        // 100 ms and a random delay of up to 10 ms.
        assert!((0.0995..0.1115).contains(&(next.time - one.time)), "{one:?}\n{next:?}");
    }
    for frame in &frames {
        let described = (frame.address.as_str(), frame.kind, frame.advertiser.as_str());
        assert_eq!(described, ("0x8e89bed6", 0, "c6:55:44:33:22:11"));
        let (pdu, sent) = frame.bytes[4..].split_at(frame.bytes.len() - 7);
        assert_eq!(check(pdu), sent, "{frame:?}");
    }

    // The capture is a function of the run.
    let second =
        Emulator::plain(["--machine", "nrf52dk", "--serial", "null", "--timeout", "26s", "--headless"]);
    let second =
        second.arg("--pcap").arg(&again).arg("--replay").arg(&log).arg(controller()).run().ends_with(124);
    let read = |path| std::fs::read(path).expect("the capture was written");
    assert!(read(capture) == read(again), "the capture differs in a replay\n{first}\n{second}");
}
