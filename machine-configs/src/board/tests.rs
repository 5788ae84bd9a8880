//! Boards: what is described, what is refused and where the error points.

use super::*;
use crate::dtb;

fn text(name: &str) -> String {
    let (_, text) = builtin::FILES.iter().find(|(path, _)| *path == format!("boards/{name}.dts")).unwrap();
    text.to_string()
}

fn builtin(name: &str) -> Board {
    let board = compile(&Source::Builtin(name.into()), &Params::default()).unwrap_or_else(|e| panic!("{e}"));
    assert!(board.warnings.is_empty(), "{:?}", board.warnings);
    board
}

fn with(name: &str, params: Params) -> Result<Board, String> {
    compile(&Source::Builtin(name.into()), &params).map_err(|e| e.to_string())
}

fn overridden(name: &str, change: &str) -> Result<Board, String> {
    with(name, Params { overrides: vec![change.into()], ..Params::default() })
}

/// A small board with `body` in its /soc, whose `&` lines extend it.
fn small(body: &str) -> Result<Board, Error> {
    let text = format!(
        "/dts-v1/;\n/ {{\n#address-cells = <1>; #size-cells = <1>;\ncpus {{ #address-cells = <1>; #size-cells = <0>; \
         timebase-frequency = <1000000>;\ncpu@0 {{ device_type = \"cpu\"; compatible = \"riscv\"; reg = <0>; riscv,isa = \"rv32imac\"; \
         intc: interrupt-controller {{ interrupt-controller; #interrupt-cells = <1>; }}; }}; }};\n\
         memory@80000000 {{ device_type = \"memory\"; reg = <0x80000000 0x1000>; }};\n\
         soc {{ #address-cells = <1>; #size-cells = <1>; compatible = \"simple-bus\"; ranges;\n\
         plic: plic@c000000 {{ compatible = \"p\"; reg = <0xc000000 0x1000>; interrupt-controller; #interrupt-cells = <1>; \
         interrupts-extended = <&intc 11>; }};\n{body}\n}};\n}};\n"
    );
    compile_text("small.dts", &text, &Params::default())
}

/// The line of `small` that its body starts on.
const BODY: u32 = 9;

#[track_caller]
fn refused(body: &str, line: u32, message: &str) {
    let error = small(body).map(|b| b.description).expect_err("a mistake");
    let d = &error.diagnostics[0];
    assert!(d.message.contains(message), "{d}");
    assert_eq!((d.file.as_str(), d.line), ("small.dts", BODY + line), "{d}");
}

#[test]
fn tv_is_described() {
    let d = builtin("tv").description;
    assert_eq!((d.name.as_str(), d.boot, d.timebase_hz, d.cpus.len()), ("tv", Boot::Sbi, 10_000_000, 4));
    assert_eq!(d.cpus[3].reg, 3);
    assert_eq!(d.cpus[0].clock_hz, 1_000_000_000);
    assert_eq!(d.cpus[0].mmu.as_deref(), Some("riscv,sv57"));
    assert_eq!(d.memory.len(), 1);
    assert_eq!(
        (d.memory[0].base, d.memory[0].size, d.memory[0].kind),
        (0x8000_0000, 512 << 20, MemoryKind::Ram)
    );
    let uart = &d.devices[d.find("serial0").unwrap()];
    assert_eq!(d.stdout, d.find("uart0"));
    assert_eq!((uart.path.as_str(), uart.mapped), ("/soc/serial@10000000", true));
    assert_eq!(uart.reg, [Reg { base: 0x1000_0000, size: 0x100 }]);
    let plic = d.find("plic").unwrap();
    assert_eq!(uart.interrupts, [Interrupt { controller: Controller::Device(plic), cells: vec![10] }]);
    let contexts: Vec<_> = d.devices[plic].interrupts.iter().map(|i| (i.controller, i.cells[0])).collect();
    assert_eq!(contexts[..3], [(Controller::Cpu(0), 11), (Controller::Cpu(0), 9), (Controller::Cpu(1), 11)]);
    assert_eq!(contexts.len(), 8);
    let gpu = &d.devices[d.find("virtio_mmio3").unwrap()];
    assert_eq!(gpu.props.string("hyperemu,device").unwrap().as_deref(), Some("gpu"));
    assert_eq!(gpu.props.u32("hyperemu,width").unwrap(), Some(1920));
    let poweroff = d.devices.iter().find(|n| n.name == "poweroff").unwrap();
    assert_eq!(poweroff.references("regmap").next().unwrap().target, d.find("test"));
}

#[test]
fn both_isa_properties_agree() {
    for name in ["tv", "virt-riscv32", "sensor"] {
        for cpu in builtin(name).description.cpus {
            let text = cpu.props.string("riscv,isa").unwrap().unwrap();
            let (base, extensions) = isa::split(&text).unwrap();
            assert_eq!((Some(base), extensions), (cpu.isa_base, cpu.isa_extensions), "{name}");
        }
    }
}

#[test]
fn sensor_is_described() {
    let d = builtin("sensor").description;
    assert_eq!((d.boot, d.reset_vector), (Boot::Flash, Some(0x2001_0000)));
    assert_eq!(d.cpus[0].clock_hz, 320_000_000);
    let kinds: Vec<_> = d.memory.iter().map(|m| (m.base, m.kind)).collect();
    assert_eq!(kinds[0], (0x8000_0000, MemoryKind::Ram));
    assert!(kinds.contains(&(0x1_0000, MemoryKind::Rom)) && kinds.contains(&(0x800_0000, MemoryKind::Sram)));
    let qspi = &d.devices[d.find("qspi0").unwrap()];
    assert_eq!(qspi.reg[1], Reg { base: 0x2000_0000, size: 0x2000_0000 });
    let i2c = d.find("i2c0").unwrap();
    let chips: Vec<_> =
        d.children(i2c).map(|(_, c)| (c.compatible[0].as_str(), c.reg[0].base, c.mapped)).collect();
    assert_eq!(
        chips,
        [
            ("rohm,bh1750", 0x23, false),
            ("maxim,max17048", 0x36, false),
            ("st,lsm6dso", 0x6a, false),
            ("bosch,bme280", 0x76, false)
        ]
    );
    let motion = &d.devices[d.find("motion").unwrap()];
    let gpio = d.find("gpio0").unwrap();
    assert_eq!(motion.interrupts, [Interrupt { controller: Controller::Device(gpio), cells: vec![9, 4] }]);
    let led = &d.devices[d.find("led0").unwrap()];
    let pin = led.references("gpios").next().unwrap();
    assert_eq!((pin.target, pin.cells.as_slice()), (Some(gpio), &[19, 1][..]));
    assert_eq!(d.devices[gpio].interrupts.len(), 32);
    let radio = &d.devices[d.find("radio").unwrap()];
    assert_eq!(radio.references("reset-gpio").next().unwrap().cells, [0, 1]);
}

#[test]
fn every_builtin_board_has_a_summary() {
    let boards = builtin_boards();
    let names: Vec<&str> = boards.iter().map(|b| b.name).collect();
    assert!(
        names.is_sorted() && ["mps2-an386", "sensor", "tv"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    assert!(boards.iter().all(|b| !b.summary.is_empty()));
}

#[test]
fn mps2_is_described() {
    let d = builtin("mps2-an386").description;
    assert_eq!((d.boot, d.cpus[0].clock_hz), (Boot::Vectors, 25_000_000));
    let arm = d.cpus[0].arm.as_ref().unwrap();
    assert_eq!((arm.part.as_str(), arm.priority_bits, arm.interrupts), ("arm,cortex-m4f", 3, 32));
    assert!(arm.fpu && arm.bit_band && arm.mpu_regions == 8);
    let uart = &d.devices[d.find("uart0").unwrap()];
    let lines: Vec<_> = uart.interrupts.iter().map(|i| (i.controller, i.cells[0])).collect();
    assert_eq!(lines, [(Controller::Cpu(0), 1), (Controller::Cpu(0), 0)]);
}

#[test]
fn an_m_profile_core_needs_its_controller() {
    let source = "/dts-v1/;\n/ { #address-cells = <1>; #size-cells = <1>;\ncpus { #address-cells = <1>; #size-cells = <0>; \
                  cpu@0 { compatible = \"arm,cortex-m0\"; reg = <0>; }; };\n\
                  ram: memory@0 { device_type = \"memory\"; reg = <0 0x1000>; }; };";
    let error = compile_text("m.dts", source, &Params::default()).unwrap_err().to_string();
    assert!(error.contains("interrupt controller"), "{error}");
    let whole = format!("#include <armv6-m.dtsi>\n{source}\n&nvic {{ arm,num-irq-priority-bits = <9>; }};")
        .replace("/dts-v1/;", "");
    let error = compile_text("m.dts", &format!("/dts-v1/;\n{whole}"), &Params::default()).unwrap_err();
    assert!(error.to_string().contains("from 2 to 8"), "{error}");
}

#[test]
fn guests_do_not_see_what_is_ours() {
    for name in ["tv", "sensor", "virt-riscv32"] {
        let chosen = Chosen {
            bootargs: Some("console=ttyS0".into()),
            initrd: Some(0x8400_0000..0x8410_0000),
            rng_seed: vec![1, 2, 3],
            kaslr_seed: Some(7),
            boot_cpu: None,
        };
        let tree = dtb::read(&builtin(name).dtb(&chosen)).unwrap();
        for id in tree.walk() {
            assert!(tree.node(id).props.iter().all(|p| !p.name.starts_with("hyperemu,")), "{name}");
        }
        let id = tree.by_path("/chosen").unwrap();
        assert_eq!(tree.prop(id, "bootargs").unwrap().string().as_deref(), Some("console=ttyS0"));
        assert_eq!(tree.prop(id, "linux,initrd-end").unwrap().data, 0x8410_0000u64.to_be_bytes());
        assert!(tree.prop(id, "stdout-path").is_some());
    }
    let board =
        small("gone: gone@1000 { compatible = \"x\"; reg = <0x1000 0x10>; hyperemu,hidden; };").unwrap();
    assert!(board.description.devices.iter().any(|d| d.hidden && d.label.as_deref() == Some("gone")));
    assert!(dtb::read(&board.dtb(&Chosen::default())).unwrap().by_path("/soc/gone@1000").is_none());
    refused(
        "gone: gone@1000 { compatible = \"x\"; reg = <0x1000 0x10>; hyperemu,hidden; };\nuser { x = <&gone>; };",
        1,
        "hidden",
    );
}

#[test]
fn printed_boards_compile_to_themselves() {
    for name in ["tv", "sensor", "virt-riscv32"] {
        let board = builtin(name);
        let again = compile_text(name, &board.dts(), &Params::default()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(board.dtb(&Chosen::default()), again.dtb(&Chosen::default()), "{name}");
        let json = |b: &Board| serde_json::to_value(&b.description).unwrap();
        assert_eq!(json(&board), json(&again), "{name}");
    }
}

#[test]
fn cores_can_be_taken_and_added() {
    for count in [1, 2, 4, 6, 8] {
        let board = with("tv", Params { cpus: Some(count), ..Params::default() }).unwrap();
        let d = &board.description;
        assert_eq!(
            d.cpus.iter().map(|c| c.reg).collect::<Vec<_>>(),
            (0..u64::from(count)).collect::<Vec<_>>()
        );
        for (device, causes) in [("plic", [11, 9]), ("clint", [3, 7])] {
            let found = &d.devices[d.find(device).unwrap()].interrupts;
            let expected =
                (0..count as usize).flat_map(|cpu| causes.map(|cause| (Controller::Cpu(cpu), cause)));
            assert_eq!(
                found.iter().map(|i| (i.controller, i.cells[0])).collect::<Vec<_>>(),
                expected.collect::<Vec<_>>()
            );
        }
        let tree = dtb::read(&board.dtb(&Chosen::default())).unwrap();
        let cluster = tree.by_path("/cpus/cpu-map/cluster0").unwrap();
        assert_eq!(tree.children(cluster).count(), count as usize);
        assert_eq!(
            tree.walk().iter().filter(|&&id| tree.node(id).base_name() == "cpu").count(),
            count as usize
        );
        compile_text("again", &board.dts(), &Params::default()).unwrap();
    }
    assert!(with("tv", Params { cpus: Some(0), ..Params::default() }).unwrap_err().contains("give 1 to 8"));
    assert!(with("tv", Params { cpus: Some(9), ..Params::default() }).is_err());
    assert!(with("sensor", Params { cpus: Some(2), ..Params::default() }).is_err());
}

#[test]
fn memory_can_be_resized() {
    let ram = |name: &str, size: u64| {
        with(name, Params { memory: Some(size), ..Params::default() }).map(|b| b.description.memory[0].size)
    };
    assert_eq!(ram("tv", 16 << 30), Ok(16 << 30));
    assert_eq!(ram("sensor", 1 << 20), Ok(1 << 20));
    assert!(ram("tv", 0).is_err());
    assert!(ram("tv", 4097).unwrap_err().contains("4 KiB"));
    assert!(ram("sensor", 1 << 30).unwrap_err().contains("at most 0x10000000"));
}

#[test]
fn properties_can_be_overridden() {
    let gpu = |change: &str| {
        overridden("tv", change).map(|b| {
            let d = b.description;
            d.devices[d.find("virtio_mmio3").unwrap()].props.clone()
        })
    };
    assert_eq!(gpu("virtio_mmio3.hyperemu,width=800").unwrap().u32("hyperemu,width").unwrap(), Some(800));
    assert_eq!(gpu("virtio_mmio3.width=0x320").unwrap().u32("hyperemu,width").unwrap(), Some(800));
    assert_eq!(
        gpu("/soc/virtio_mmio@10004000.width=<640>").unwrap().u32("hyperemu,width").unwrap(),
        Some(640)
    );
    assert_eq!(
        gpu("virtio_mmio3.dotted.name=text").unwrap().string("dotted.name").unwrap().as_deref(),
        Some("text")
    );
    assert_eq!(gpu("virtio_mmio3.x=\"a\", <1>").unwrap().get("x").unwrap().data, b"a\0\0\0\0\x01");
    assert_eq!(gpu("virtio_mmio3.x=<&plic 1>").unwrap().cells("x").unwrap().unwrap()[1], 1);
    assert_eq!(
        gpu("virtio_mmio3.x=&plic").unwrap().string("x").unwrap().as_deref(),
        Some("/soc/interrupt-controller@c000000")
    );
    assert!(gpu("virtio_mmio3.x=true").unwrap().bool("x"));
    assert!(!gpu("virtio_mmio3.width=false").unwrap().bool("hyperemu,width"));
    assert_eq!(gpu("virtio_mmio3.x=1G").unwrap().u32("x").unwrap(), Some(1 << 30));
    assert_eq!(
        gpu("virtio_mmio3.device=9p").unwrap().string("hyperemu,device").unwrap().as_deref(),
        Some("9p")
    );
    assert!(
        gpu("virtio_mmio3.device=toaster")
            .unwrap_err()
            .starts_with("--param:1:14: `hyperemu,device` must be one of")
    );
    assert!(gpu("virtio_mmio3.width=0").unwrap_err().contains("from 1 to 16384"));
    assert!(gpu("virtio_mmio3.x=<1").is_err());
    assert!(gpu("virtio_mmio3").unwrap_err().contains("expected `=`"));
    assert!(gpu("nothing.x=1").unwrap_err().starts_with("--param:1:1: the board has no node `nothing`"));
    let disabled = overridden("tv", "uart0.status=disabled").unwrap_err();
    assert!(disabled.contains("`serial0` names no device"), "{disabled}");
}

#[test]
fn mistakes_have_positions() {
    refused(
        "a@1000 { compatible = \"a\"; reg = <0x1000 0x100>; };\nb@1080 { compatible = \"b\"; reg = <0x1080 0x100>; };",
        1,
        "overlaps",
    );
    refused("a@80000800 { compatible = \"a\"; reg = <0x80000800 0x100>; };", 0, "overlaps");
    refused("\n\na@1000 { compatible = \"a\"; };", 2, "no `reg`");
    refused("a@1000 { compatible = \"a\"; reg = <0x1000>; };", 0, "entries of 1 address and 1 size");
    refused(
        "a@1000 { compatible = \"a\"; reg = <0x1000 0x10>;\ninterrupts = <1>; };",
        1,
        "no interrupt-parent",
    );
    refused(
        "a@1000 { compatible = \"a\"; reg = <0x1000 0x10>;\ninterrupt-parent = <99>; interrupts = <1>; };",
        1,
        "interrupt-parent",
    );
    refused(
        "a@1000 { compatible = \"a\"; reg = <0x1000 0x10>;\ninterrupts-extended = <&plic>; };",
        1,
        "needs 1 cells",
    );
    refused(
        "a@1000 { compatible = \"a\"; reg = <0x1000 0x10>;\ngpios = <&plic 1>; };",
        1,
        "has no `#gpio-cells`",
    );
    refused("a { #address-cells = <99>; b { compatible = \"a\"; reg = <1>; }; };", 0, "`#address-cells`");
    refused("a { compatible = <1>; };", 0, "must be strings");
    refused("a { hyperemu,nonsense; };", 0, "no property of this emulator");
    refused("a { hyperemu,boot = \"sbi\"; };", 0, "belongs into the root");
    refused("a { hyperemu,hidden = <1>; };", 0, "without a value");
    refused(
        "a@1 { compatible = \"a\"; reg = <0xffffffff 0xffffffff>; };\nb = <&missing>;",
        1,
        "follows a child",
    );
    refused("a { b = <&missing>; };", 0, "no node labelled `missing`");
}

#[test]
fn boards_need_cores_and_memory() {
    let error = compile_text("x.dts", "/dts-v1/;\n/ { };\n", &Params::default()).unwrap_err().to_string();
    assert!(error.contains("no `/cpus`") && error.contains("no memory"), "{error}");
    let tv = text("tv");
    let bad = |from: &str, to: &str| {
        let text = tv.replacen(from, to, 1);
        assert_ne!(text, tv);
        compile_text("tv.dts", &text, &Params::default()).unwrap_err().to_string()
    };
    let error = bad("\"zicbom\"", "\"zicbam\"");
    assert!(
        error.contains("`zicbam` is no known extension") && error.contains("did you mean `zicbom`?"),
        "{error}"
    );
    assert!(bad("riscv,sv57", "riscv,sv99").contains("no mmu-type"));
    assert!(bad("riscv,sv57", "riscv,sv32").contains("does not go with this base"));
    assert!(bad("timebase-frequency = <10000000>;", "").contains("timebase-frequency"));
    assert!(bad("CORE(3);", "CORE(2);").contains("written twice"));
    assert!(bad("block-size = <64>", "block-size = <63>").contains("power of two"));
}

#[test]
fn boards_that_do_not_say_how_they_boot_are_guessed() {
    assert_eq!(small("").unwrap().description.boot, Boot::Elf);
    let tv = text("tv").replacen("hyperemu,boot = \"sbi\";", "", 1);
    assert_eq!(compile_text("tv.dts", &tv, &Params::default()).unwrap().description.boot, Boot::Sbi);
}

#[test]
fn addresses_are_translated() {
    let board = small(
        "bus@40000000 { compatible = \"simple-bus\"; #address-cells = <2>; #size-cells = <1>;\n\
         ranges = <0 0x100 0x40000000 0x1000>, <1 0 0x50000000 0x1000>;\n\
         dev@100000010 { compatible = \"d\"; reg = <1 0x10 0x20>; }; };",
    )
    .unwrap();
    assert!(board.warnings.is_empty());
    let d = &board.description;
    let device = d.devices.iter().find(|d| d.compatible == ["d"]).unwrap();
    assert_eq!((device.reg[0], device.mapped), (Reg { base: 0x5000_0010, size: 0x20 }, true));
    refused(
        "bus { compatible = \"simple-bus\"; #address-cells = <1>; #size-cells = <1>; ranges = <0 0x40000000 0x1000>;\n\
         dev@ff0 { compatible = \"d\"; reg = <0xff0 0x20>; }; };",
        1,
        "outside the `ranges`",
    );
}

#[test]
fn interrupt_maps_are_followed() {
    let d = small(
        "nexus: nexus { compatible = \"n\"; #address-cells = <1>; #interrupt-cells = <1>;\n\
         interrupt-map-mask = <0xf000 3>;\n\
         interrupt-map = <0x1000 1 &plic 7>, <0x2000 1 &plic 8>, <0x2000 2 &plic 9>; };\n\
         dev@2345 { compatible = \"d\"; reg = <0x2345 1>; interrupt-parent = <&nexus>; interrupts = <2>, <5>; };",
    )
    .unwrap()
    .description;
    let plic = Controller::Device(d.find("plic").unwrap());
    let device = d.devices.iter().find(|d| d.compatible == ["d"]).unwrap();
    let found: Vec<_> = device.interrupts.iter().map(|i| (i.controller, i.cells[0])).collect();
    assert_eq!(found, [(plic, 9), (plic, 8)]);
    let looped = "a: a { compatible = \"a\"; #address-cells = <0>; #interrupt-cells = <1>; interrupt-map = <1 &a 1>; };\n\
                  b { compatible = \"b\"; interrupt-parent = <&a>; interrupts = <1>; };";
    refused(looped, 1, "in a circle");
}

#[test]
fn disabled_nodes_take_no_part() {
    let d = small(
        "a: a@1000 { compatible = \"a\"; reg = <0x1000 0x10>; status = \"disabled\"; interrupt-controller; #interrupt-cells = <1>; };\n\
         b@1000 { compatible = \"b\"; reg = <0x1000 0x10>; interrupts-extended = <&a 1>, <&plic 2>; };",
    )
    .unwrap()
    .description;
    assert!(d.find("a").is_none());
    let b = d.devices.iter().find(|d| d.compatible == ["b"]).unwrap();
    assert_eq!(b.interrupts[0].controller, Controller::None);
    assert_eq!(b.interrupts[1].controller, Controller::Device(d.find("plic").unwrap()));
}

#[test]
fn devices_within_others_are_odd_but_possible() {
    let board =
        small("a@1000 { compatible = \"a\"; reg = <0x1000 0x1000>; };\nb@1800 { compatible = \"b\"; reg = <0x1800 4>; };").unwrap();
    assert_eq!(board.warnings.len(), 1);
    assert!(board.warnings[0].message.contains("overlaps"));
}

#[test]
fn unknown_nodes_are_listed_once() {
    let mut board = builtin("sensor");
    let unknown = board.classify(&|c| {
        !c.starts_with("atmel") && !c.starts_with("sifive,i2c") && !c.starts_with("opencores")
    });
    let found: Vec<_> = unknown.iter().map(|u| (u.path.as_str(), u.position.as_str())).collect();
    // The sensors on the unknown bus are not listed again.
    assert_eq!(
        found.iter().map(|f| f.0).collect::<Vec<_>>(),
        ["/soc/i2c@10016000", "/soc/spi@10024000/radio@0"]
    );
    assert!(found[1].1.starts_with("<builtin>/boards/sensor.dts:"), "{found:?}");
    assert!(board.classify(&|_| true).is_empty());
}

#[test]
fn user_boards_extend_builtin_ones() {
    let board = compile_text(
        "mine.dts",
        "#include \"tv.dts\"\n&memory { reg = <0 0x80000000 0 0x1000000>; };\n",
        &Params::default(),
    );
    assert_eq!(board.unwrap().description.memory[0].size, 0x100_0000);
}

#[test]
fn missing_boards_are_named() {
    let error = compile(&Source::from_argument("tvv"), &Params::default()).unwrap_err().to_string();
    assert!(
        error.contains("no board and no file `tvv`") && error.contains("sensor, tv, virt-riscv32"),
        "{error}"
    );
    assert!(compile(&Source::from_argument("/dev/null"), &Params::default()).is_err());
    assert!(compile(&Source::from_argument("/tmp"), &Params::default()).is_err());
}

#[test]
fn watch_is_wired_as_a_pinetime() {
    let d = builtin("watch").description;
    assert_eq!((d.boot, d.cpus[0].clock_hz), (Boot::Vectors, 64_000_000));
    let spi = d.find("spi0").unwrap();
    let selects: Vec<u32> = d.devices[spi].references("cs-gpios").map(|r| r.cells[0]).collect();
    assert_eq!(selects, [25, 5]);
    let screen = &d.devices[d.find("screen").unwrap()];
    let lamps: Vec<u32> = screen.references("backlight-gpios").map(|r| r.cells[0]).collect();
    assert_eq!((screen.parent, lamps), (Some(spi), vec![14, 22, 23]));
    let touch = &d.devices[d.find("touch").unwrap()];
    let gpio = d.find("gpio0").unwrap();
    assert_eq!(touch.interrupts, [Interrupt { controller: Controller::Device(gpio), cells: vec![28, 2] }]);
    let side = &d.devices[d.find("side").unwrap()];
    let pins = ["gpios", "enable-gpios"].map(|name| side.references(name).next().unwrap().cells[0]);
    assert_eq!(pins, [13, 15]);
}
