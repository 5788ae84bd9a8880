//! Two of Zephyr's Bluetooth controllers, unmodified, on one air: they connect, change to 2M, and keep their time.

use clap::Parser;
use cpu_core::Time;
use devices_core::{HostInput, HostOutput, Port};
use devices_radio::{Air, Medium, Phy, Transmission};
use hyperemu::cli::{Cli, run::assemble};
use hyperemu::machine::scheduler::Limit;
use hyperemu::machine::{Machine, Stop};

/// Less than what a frame is known ahead of the event for its address.
const QUANTUM: Time = Time::from_us(20);

const ADVERTISER: [u8; 6] = [0x11, 0x22, 0x33, 0x44, 0x55, 0xc6];
const INITIATOR: [u8; 6] = [0xf5, 0xf4, 0xf3, 0xf2, 0xf1, 0xf0];

/// An HCI command on a serial line.
fn command(group: u8, number: u16, parameters: &[&[u8]]) -> Vec<u8> {
    let parameters = parameters.concat();
    let opcode = (u16::from(group) << 10 | number).to_le_bytes();
    [&[1, opcode[0], opcode[1], parameters.len() as u8][..], &parameters].concat()
}

/// What the hosts of both say: node, time in milliseconds, bytes.
fn script() -> Vec<(usize, u64, Vec<u8>)> {
    let mut script = Vec::new();
    for (node, address) in [(0, &ADVERTISER), (1, &INITIATOR)] {
        script.push((node, 10, command(3, 3, &[])));
        script.push((node, 20, command(3, 1, &[&[0xff; 7], &[0x3f]])));
        script.push((node, 30, command(8, 1, &[&[0xff; 8]])));
        script.push((node, 40, command(8, 5, &[address])));
    }
    // Every 30 ms, connectable, a random address, all channels.
    script.push((0, 50, command(8, 6, &[&[0x30, 0, 0x30, 0, 0, 1, 0], &[0; 6], &[7, 0]])));
    script.push((0, 60, command(8, 0xa, &[&[1]])));
    // Listening all the time; an interval of 7.5 ms, given up after 1 s.
    let scan = [0x10, 0, 0x10, 0, 0, 1];
    let connection = [1, 6, 0, 6, 0, 0, 0, 100, 0, 0, 0, 0, 0];
    script.push((1, 70, command(8, 0xd, &[&scan, &ADVERTISER, &connection])));
    // 2M, both ways.
    script.push((1, 1000, command(8, 0x32, &[&[0, 0, 0, 2, 2, 0, 0]])));
    script
}

fn controller(node: u64) -> Machine {
    let image = machine_tests::guest("zephyr-hci-uart-nrf52dk/firmware.hex");
    let image = image.to_str().expect("a path in UTF-8");
    let cli = Cli::try_parse_from(["hyperemu", "--machine", "nrf52dk", image]).expect("a command line");
    let board = cli.run.board.compile("nrf52dk").expect("a board");
    assemble(&board, &cli.run, node).unwrap_or_else(|_| panic!("a machine"))
}

/// Runs both for two seconds; of a million frames, `loss` are lost. What was on the air, and what the hosts got.
fn run(loss: u32) -> (Vec<Transmission>, [Vec<u8>; 2]) {
    let mut air = Air::new(1, loss);
    let mut machines = [controller(0), controller(1)];
    let (mut frames, mut said) = (Vec::new(), [Vec::new(), Vec::new()]);
    let mut script = script();
    script.sort_by_key(|(_, at, _)| *at);
    let mut script = script.into_iter().peekable();
    let mut time = Time::ZERO;
    air.place(0, [0; 3]);
    air.place(1, [1000, 0, 0]);
    while time < Time::from_ms(2000) {
        time = time.saturating_add(QUANTUM);
        for (node, machine) in machines.iter_mut().enumerate() {
            while machine.now() < time {
                if machine.round(Limit { time: Some(time), instructions: None }) == Stop::Reset {
                    machine.reset();
                }
            }
            for (_, output) in std::mem::take(&mut machine.bus.services.output) {
                match output {
                    HostOutput::Serial(bytes) => said[node].extend(bytes),
                    HostOutput::Radio(mut frame) => {
                        frame.key.node = node as u32;
                        frames.push((*frame).clone());
                        air.publish(*frame);
                    }
                    _ => {}
                }
            }
        }
        for (node, machine) in machines.iter_mut().enumerate() {
            let radio = machine.ports(Port::Radio)[0];
            while let Some(arrival) = air.receive(node as u32) {
                machine.inject(radio, &HostInput::Radio(Box::new(arrival)));
            }
        }
        while let Some((node, _, bytes)) = script.next_if(|(_, at, _)| Time::from_ms(*at) <= time) {
            let serial = machines[node].ports(Port::Serial)[0];
            machines[node].inject(serial, &HostInput::Serial(bytes));
        }
    }
    frames.sort_by_key(|frame| (frame.start, frame.key));
    (frames, said)
}

/// Checks that answers follow what they answer after 150 us, give or take two; counts them by modulation.
fn check(frames: &[Transmission]) -> [usize; 2] {
    let mut answers = [0; 2];
    for two in frames.windows(2) {
        let gap = two[1].start.saturating_sub(two[0].end());
        if two[0].key.node == two[1].key.node || gap > Time::from_us(300) {
            continue;
        }
        let range = Time::from_us(148)..=Time::from_us(152);
        assert!(range.contains(&gap), "{} ns between {:?} and {:?}", gap.as_ns(), two[0], two[1]);
        answers[usize::from(two[1].phy == Phy::Ble2M)] += 1;
    }
    answers
}

/// Enhanced connection complete and PHY update complete, without error.
const EVENTS: [&[u8]; 2] = [&[4, 0x3e, 0x1f, 0xa, 0], &[4, 0x3e, 6, 0xc, 0]];

fn has(said: &[u8], event: &[u8]) -> bool {
    said.windows(event.len()).any(|part| part == event)
}

#[test]
fn they_connect_and_keep_their_time() {
    let (frames, said) = run(0);
    for (node, said) in said.iter().enumerate() {
        let seen = EVENTS.map(|event| has(said, event));
        assert_eq!(seen, [true, true], "node {node}: {said:02x?}");
    }
    let [at_1m, at_2m] = check(&frames);
    // 133 connection events a second, the first of them at 1M.
    assert!((80..150).contains(&at_1m) && (80..150).contains(&at_2m), "{at_1m} and {at_2m} answers");
    let again = run(0);
    assert!((&frames, &said) == (&again.0, &again.1), "two runs differ");
}

#[test]
fn they_survive_loss() {
    let (frames, said) = run(200_000);
    assert!(said.iter().all(|said| has(said, EVENTS[0])), "they connect");
    // Disconnection complete.
    assert!(!said.iter().any(|said| has(said, &[4, 5, 4, 0])), "and stay so");
    let [at_1m, at_2m] = check(&frames);
    assert!(at_1m + at_2m > 100, "{at_1m} and {at_2m} answers");
}
