//! The tv's own program: a home screen on virtio-gpu, driven by a remote control, a keyboard, a pointer or the console.
//!
//! It runs in S-mode on any board with an SBI and a devicetree: UART, PLIC, timer and virtio-mmio devices are found there.
//! Interrupts are used to end a `wfi` and are then served by the main loop, never by a trap: while nothing happens, the
//! hart sleeps until the next minute.
#![no_std]
#![no_main]
#![deny(unsafe_code)]
#![allow(missing_docs, reason = "a program, not a library")]

extern crate alloc;

mod console;
mod dma;
mod fdt;
mod heap;
mod plic;
mod rtc;
mod sbi;
mod shell;
mod start;
mod uart;
mod virtio;

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use plic::Plic;
use rtc::Rtc;
use shell::{Shell, Wish};
use tv_app::{Action, App, Device, Key, Live, Machine, Micros, Network};
use uart::Uart;
use ui::{Canvas, Point, Rectangle, Ui, Xrgb8888};
use virtio::{
    Transport,
    gpu::Gpu,
    input::{ABS_MT_X, ABS_MT_Y, ABS_X, ABS_Y, EV_ABS, EV_KEY, Event, Input},
    rng::Rng,
};

/// The UI in Rust begins here, called by the assembly in `start.rs`.
extern "C" fn start(hart: usize, devicetree: usize) -> ! {
    let Some(fdt) = fdt::Fdt::at(devicetree) else {
        println!("tv: no devicetree at {devicetree:#x}");
        sbi::system_reset(sbi::Reset::Shutdown, sbi::Reason::Failure);
    };
    let heap_size = heap::init(fdt);
    Tv::new(hart, fdt, heap_size).run()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    println!("tv: {info}");
    sbi::system_reset(sbi::Reset::Shutdown, sbi::Reason::Failure)
}

/// Everything the main loop holds.
struct Tv {
    plic: Plic,
    uart: Option<(Uart, u32)>,
    rtc: Option<Rtc>,
    screen: Option<(Gpu, Transport, Ui<Xrgb8888>)>,
    inputs: Vec<Input>,
    app: App,
    shell: Shell,
    live: Live,
    /// The pointer's last place, in 1/65536 of the screen.
    pointer: (u32, u32),
}

impl Tv {
    fn new(hart: usize, fdt: fdt::Fdt, heap_size: usize) -> Self {
        let tree = fdt.tree();
        let uart = tree.compatible("ns16550a").next().and_then(|node| {
            let shift = node.cell("reg-shift").unwrap_or(0) as usize;
            Some((Uart::at(tree.address(node)?, shift), node.cell("interrupts").unwrap_or(0)))
        });
        if let Some((uart, _)) = &uart {
            console::use_uart(uart);
        }
        println!("tv: {} at hart {hart}", tree.model());

        let harts: Vec<_> = tree.harts().collect();
        let own = harts.iter().copied().find(|h| h.cell("reg") == Some(hart as u32));
        let list = |key: &str| own.map(|h| h.strings(key).collect::<Vec<_>>()).unwrap_or_default();
        let isa = list("riscv,isa")
            .first()
            .map_or_else(|| list("riscv,isa-extensions").join("_"), |s| (*s).to_owned());
        let sstc = isa.split('_').any(|e| e == "sstc") || list("riscv,isa-extensions").contains(&"sstc");

        let plic = ["riscv,plic0", "sifive,plic-1.0.0"].iter().find_map(|c| tree.compatible(c).next());
        let plic = plic.expect("a PLIC in the devicetree");
        let controller = own.and_then(|h| tree.hart_controller(h));
        // Contexts are listed as pairs of a hart's controller and an interrupt; ours is supervisor external, 9.
        let is_ours = |i: &usize| {
            plic.cell_at("interrupts-extended", 2 * i) == controller
                && plic.cell_at("interrupts-extended", 2 * i + 1) == Some(9)
        };
        let context = (0..1024).find(is_ours).unwrap_or(1);
        let plic = Plic::new(tree.address(plic).unwrap_or(0), context);
        start::enable(start::EXTERNAL | start::TIMER);
        if let Some((uart, irq)) = &uart {
            uart.listen();
            plic.enable(*irq);
        }

        for node in &harts {
            if let Some(id) = node.cell("reg").filter(|&id| id as usize != hart)
                && let Err(e) = sbi::hart_start(id as usize, start::park_entry(), 0)
            {
                println!("tv: hart {id} does not start: {e:?}");
            }
        }

        let (major, minor) = sbi::version();
        let mut tv = Self {
            plic,
            uart,
            rtc: tree.compatible("google,goldfish-rtc").next().and_then(|n| tree.address(n)).map(Rtc::at),
            screen: None,
            inputs: Vec::new(),
            app: App::new(Machine {
                model: tree.model().into(),
                mmu: list("mmu-type").first().map_or(String::new(), |s| (*s).into()),
                harts: harts.len(),
                memory: fdt.memory().map_or(0, |m| m.1),
                timebase: tree.timebase().unwrap_or(10_000_000),
                sbi: format!("{}, SBI {major}.{minor}", sbi::implementation()),
                isa,
                sstc,
                ..Machine::default()
            }),
            shell: Shell::default(),
            live: Live { heap_size, ..Live::default() },
            pointer: (0, 0),
        };
        let mut slots: Vec<_> = tree
            .compatible("virtio,mmio")
            .filter_map(|n| Transport::probe(tree.address(n)?, n.cell("interrupts")?, plic))
            .collect();
        slots.sort_by_key(Transport::base);
        for transport in slots {
            tv.attach(transport);
        }
        tv
    }

    /// Starts the driver for a device, if we have one.
    fn attach(&mut self, transport: Transport) {
        transport.listen();
        let features = transport.features();
        let driven = match transport.id() {
            1 => network(&transport).map(|n| {
                self.app.machine.network = Some(n);
                false
            }),
            4 => Rng::new(transport).map(|mut rng| {
                self.app.machine.entropy = Some(rng.next());
                true
            }),
            16 if self.screen.is_none() => Gpu::new(transport).map(|gpu| {
                self.app.machine.screen = gpu.size;
                let ui = Ui::new(gpu.size, true);
                self.screen = Some((gpu, transport, ui));
                true
            }),
            18 => Input::new(transport).map(|input| {
                self.app.machine.inputs.push((input.name.clone(), input.range.0 > 0));
                self.inputs.push(input);
                true
            }),
            _ => Ok(false),
        };
        if let Err(e) = driven {
            println!("tv: virtio {} at {:#x}: {e:?}", transport.kind(), transport.base());
        }
        self.app.machine.devices.push(Device {
            kind: transport.kind(),
            id: transport.id(),
            address: transport.base(),
            irq: transport.irq,
            features,
            driven: driven.unwrap_or(false),
        });
    }

    fn now(&self) -> Micros {
        micros(start::ticks(), self.app.machine.timebase)
    }

    fn run(mut self) -> ! {
        self.refresh();
        self.draw();
        if self.screen.is_none() {
            println!("tv: no virtio-gpu device, only the console works");
        }
        println!("tv: ready in {} ms", self.now() / 1000);
        Shell::prompt();
        loop {
            let next = self.app.next_change(self.now(), &self.live);
            self.sleep(next);
            let served = self.serve();
            let due = self.now() >= next;
            if served || due {
                self.refresh();
                self.draw();
            }
        }
    }

    /// Waits for an interrupt or a point in time.
    fn sleep(&self, until: Micros) {
        let rate = u64::from(self.app.machine.timebase);
        // Rounded up, so that the time has come when the timer rings.
        let at = until / 1_000_000 * rate + (until % 1_000_000 * rate).div_ceil(1_000_000);
        if self.app.machine.sstc {
            start::set_stimecmp(at);
        } else {
            sbi::set_timer(at);
        }
        if !self.plic.has_deferred() {
            start::wait();
        }
    }

    /// Serves every pending interrupt; says whether there was one.
    fn serve(&mut self) -> bool {
        let mut served = false;
        if start::pending() & start::TIMER != 0 && !self.app.machine.sstc {
            // The SBI takes the pending interrupt back when a later one is set.
            sbi::set_timer(u64::MAX);
        }
        while let Some(source) = self.plic.next() {
            served = true;
            if self.uart.as_ref().is_some_and(|u| u.1 == source) {
                while let Some(byte) = self.uart.as_ref().and_then(|u| u.0.receive()) {
                    let now = self.now();
                    let wish = self.shell.byte(byte, &mut self.app, now, &self.live);
                    self.grant(wish);
                }
            }
            if let Some((_, transport, _)) = self.screen.as_ref().filter(|s| s.1.irq == source) {
                transport.acknowledge();
            }
            for i in 0..self.inputs.len() {
                if self.inputs[i].transport.irq == source {
                    self.inputs[i].transport.acknowledge();
                    while let Some(event) = self.inputs[i].next() {
                        let action = self.event(i, event);
                        self.grant(action.map(Wish::Do));
                    }
                }
            }
            self.plic.complete(source);
        }
        served
    }

    fn event(&mut self, input: usize, event: Event) -> Option<Action> {
        let now = self.now();
        let range = self.inputs[input].range;
        let part = |value: i32, range: u32| {
            (value.max(0) as u64 * 65_535 / u64::from(range.max(1))).min(65_535) as u32
        };
        match (event.kind, event.code) {
            (EV_ABS, ABS_X | ABS_MT_X) => self.pointer.0 = part(event.value, range.0),
            (EV_ABS, ABS_Y | ABS_MT_Y) => self.pointer.1 = part(event.value, range.1),
            // 1 is a press, 2 a repetition.
            (EV_KEY, code) if event.value != 0 => {
                let key = Key(code);
                if key.is_pointer() {
                    self.app.pointer(self.pointer.0, self.pointer.1, now);
                    return self.app.press(now, &self.live);
                }
                return self.app.key(key, &self.inputs[input].name, now, &self.live);
            }
            (virtio::input::EV_SYN, 0) if range.0 > 0 => {
                self.app.pointer(self.pointer.0, self.pointer.1, now)
            }
            _ => {}
        }
        None
    }

    fn grant(&mut self, wish: Option<Wish>) {
        for line in self.app.take_log() {
            println!("tv: {line}");
        }
        match wish {
            Some(Wish::Do(Action::PowerOff)) => {
                println!("tv: power off");
                sbi::system_reset(sbi::Reset::Shutdown, sbi::Reason::None);
            }
            Some(Wish::Do(Action::Restart)) => {
                println!("tv: restart");
                sbi::system_reset(sbi::Reset::ColdReboot, sbi::Reason::None);
            }
            Some(Wish::Fault) => start::fault(),
            None => {}
        }
    }

    fn refresh(&mut self) {
        self.live.clock = self.rtc.as_ref().map(Rtc::seconds);
        self.live.heap_used = heap::used();
        self.live.parked = start::parked_harts();
    }

    /// Draws what changed, brings it to the device, then shows it.
    fn draw(&mut self) {
        let now = self.now();
        let Some((gpu, _, ui)) = &mut self.screen else { return };
        let damage = ui.update(self.app.view(now, &self.live));
        let area = Rectangle::new(Point::zero(), gpu.size);
        for &r in &damage {
            ui.paint(&mut Canvas::new(gpu.pixels(), area, r));
        }
        for r in damage {
            if let Err(e) = gpu.transfer(r).and_then(|()| gpu.flush(r)) {
                println!("tv: gpu: {e:?}");
            }
        }
        self.live.frames += 1;
    }
}

fn micros(ticks: u64, rate: u32) -> Micros {
    let rate = u64::from(rate.max(1));
    ticks / rate * 1_000_000 + ticks % rate * 1_000_000 / rate
}

/// Reads a network device's configuration, then leaves the device alone.
fn network(transport: &Transport) -> Result<Network, virtio::Error> {
    const MTU: u64 = 1 << 3;
    const MAC: u64 = 1 << 5;
    const STATUS: u64 = 1 << 16;
    let has = transport.begin(MTU | MAC | STATUS)?;
    let half = |at: usize| u16::from_le_bytes([transport.config8(at), transport.config8(at + 1)]);
    let network = Network {
        mac: core::array::from_fn(|i| if has & MAC != 0 { transport.config8(i) } else { 0 }),
        link: (has & STATUS != 0).then(|| half(6) & 1 != 0),
        mtu: (has & MTU != 0).then(|| half(10)),
    };
    transport.reset();
    Ok(network)
}
