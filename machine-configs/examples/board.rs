//! `cargo run -p machine-configs --example board -- NAME|FILE.dts dtb|dts|json`: shows what a board compiles to.

use std::io::Write;

use machine_configs::{Chosen, Params, Source, compile};

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(board), Some(what)) = (args.next(), args.next()) else {
        eprintln!("usage: board NAME|FILE.dts dtb|dts|json [--param...]");
        std::process::exit(2);
    };
    let mut params = Params::default();
    for arg in args {
        match arg.split_once('=') {
            Some(("--memory", size)) => params.memory = size.parse().ok(),
            Some(("--cpus", count)) => params.cpus = count.parse().ok(),
            _ => params.overrides.push(arg),
        }
    }
    let board = match compile(&Source::from_argument(&board), &params) {
        Ok(board) => board,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    let bytes = match what.as_str() {
        "dtb" => board.dtb(&Chosen::default()),
        "dts" => board.dts().into_bytes(),
        _ => serde_json::to_vec_pretty(&board.description).expect("plain data"),
    };
    std::io::stdout().write_all(&bytes).expect("stdout");
}
