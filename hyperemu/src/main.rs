//! The `hyperemu` program.

use clap::Parser;
use hyperemu::cli::{self, Cli, Command, MachineCommand};
use hyperemu::error::UsageError;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result: Result<u8, UsageError> = match cli.command {
        None => cli::run::run(&cli.run),
        Some(Command::Run(args)) => cli::run::run(&args),
        Some(Command::Machines { json }) => cli::machines::list(json),
        Some(Command::Machine { command: MachineCommand::Show(args) }) => cli::machines::show(&args),
        Some(Command::Doctor) => cli::doctor::doctor(),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            error.print();
            ExitCode::from(2)
        }
    }
}
