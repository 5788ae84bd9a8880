//! `hyperemu doctor`: does this host have what hyperemu needs?

use crate::error::UsageError;
use cpu_core::{GuestMemory, MemoryKind, RegionSpec};

/// Prints one line a check; status 0 if nothing necessary is missing.
pub fn doctor() -> Result<u8, UsageError> {
    let memory = {
        let spec = RegionSpec { name: "probe".into(), base: 0, size: 1 << 30, kind: MemoryKind::Ram };
        GuestMemory::new(vec![spec]).map(|_| "1 GiB of guest memory can be mapped".to_string())
    };
    let display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().find_map(|name| std::env::var(name).ok());
    let compiler = cpu_jit_x64::X64::new(0).map(|_| "guest code is compiled".to_string());
    let checks = [
        ("memory", true, memory.map_err(|error| error.to_string())),
        ("compiler", false, compiler.map_err(|error| format!("{error}; guest code is interpreted"))),
        (
            "display",
            false,
            display
                .map(|display| format!("windows open on {display}"))
                .ok_or("none: runs are headless; set DISPLAY or use --screenshot".to_string()),
        ),
        ("boards", true, boards()),
    ];
    let mut status = 0;
    for (name, necessary, result) in checks {
        let (mark, text) = match (result, necessary) {
            (Ok(text), _) => ("ok", text),
            (Err(text), false) => ("note", text),
            (Err(text), true) => {
                status = 3;
                ("FAIL", text)
            }
        };
        say!("{mark:4} {name}: {text}");
    }
    Ok(status)
}

fn boards() -> Result<String, String> {
    let boards = machine_configs::builtin_boards();
    for board in &boards {
        crate::cli::BoardArgs::default().compile(board.name).map_err(|error| error.to_string())?;
    }
    Ok(format!("{} boards compile", boards.len()))
}
