//! Boards as devicetrees: the compiler, the validator and the boards themselves.
//!
//! A board is a devicetree source. [`compile`] reads one, built in or from disk, applies what a command line changes, validates the
//! result, and returns a [`Board`]: the [`Description`] from which a machine is built, and the DTB for the guest.
//!
//! ```
//! use machine_configs::{Chosen, Params, Source, compile};
//!
//! let params = Params { memory: Some(1 << 30), cpus: Some(2), ..Params::default() };
//! let mut board = compile(&Source::from_argument("tv"), &params)?;
//! assert_eq!(board.description.cpus.len(), 2);
//! board.classify(&|compatible| compatible == "ns16550a");
//! for unknown in &board.description.unknown {
//!     println!("{}: no model for {}", unknown.position, unknown.path);
//! }
//! let dtb = board.dtb(&Chosen { bootargs: Some("console=ttyS0".into()), ..Chosen::default() });
//! # assert!(dtb.len() > 1000);
//! # Ok::<(), machine_configs::Error>(())
//! ```
//!
//! # The language
//!
//! The whole of DTS version 1, as dtc 1.6 and 1.7 compile it and byte for byte alike: `/dts-v1/;`, `/plugin/;`, `/include/`,
//! `/memreserve/`, labels on nodes, properties and inside values, references by label and by path as phandles and as paths, extension of
//! nodes, `/bits/`, byte strings, escapes, character literals, expressions with every operator of C and `?:`, `/incbin/` with offset
//! and size, `/delete-node/`, `/delete-property/`, `/omit-if-no-ref/`, allocated phandles, overlays with `__fixups__` and
//! `__local_fixups__`, and on request `__symbols__`.
//!
//! Sources pass a preprocessor that takes what the C preprocessor takes of such files: `#include` with `""` and `<>`, `#define` of both
//! kinds with `#`, `##` and `__VA_ARGS__`, `#undef`, `#if`, `#ifdef`, `#ifndef`, `#elif`, `#else`, `#endif`, `defined`, `#error`, `#pragma
//! once`, comments and continued lines. `__DTS__` is defined. Left out: `#line`, `__FILE__`, `__LINE__`, `__has_include`, character
//! literals in `#if`, and directives among the arguments of a macro. Unlike GNU cpp, a name such as `#if-foo` is a property and no directive.
//!
//! `#include "FILE"` looks beside the including file, then in [`Params::include`], then among the built-in files (`boards/`, `soc/`,
//! `include/`), so that a board of yours can start with `#include "tv.dts"`.
//!
//! ## Limits
//!
//! Every limit is an error with a position: files of 64 MiB, 64 nested and 4096 includes in all, 4 Mi tokens from macros, 200 macros within
//! each other, 16 MiB of preprocessed text, 64 MiB of values, 128 nested nodes, 128 nested operators, names of 1024 characters.
//!
//! # Properties for the emulator
//!
//! These never reach the guest. A wrong type, a wrong place or an unknown name under the prefix is an error.
//!
//! | property | on | value | meaning |
//! |---|---|---|---|
//! | `hyperemu,boot` | root | `"sbi"`, `"flash"`, `"elf"`, `"vectors"` | who starts the guest: the emulator's SBI in S-mode, code in flash, the entry of an ELF, the vector table of an M-profile core; by default the first where cores have an MMU, the last on M-profile, else the entry |
//! | `hyperemu,bit-band` | M-profile core | none | it has the bit-band regions of the Cortex-M3 |
//! | `hyperemu,interrupts` | M-profile interrupt controller | 1-496 | how many external interrupts exist; 32 without it |
//! | `hyperemu,summary` | root | string | one line about the board, for `hyperemu machines` |
//! | `hyperemu,image` | root | string | name of the embedded image that runs when none is given |
//! | `hyperemu,reset-vector` | root | 1-2 cells | where cores start when the image names no entry; where the vector table of M-profile cores is, 0 by default |
//! | `hyperemu,window-title` | root | string | the window's title; `model` by default |
//! | `hyperemu,window-size` | root | `<width height>` | the window's size on boards without a screen, in pixels |
//! | `hyperemu,skin` | root | string | name of the drawing around the screen |
//! | `hyperemu,max-cpus` | `/cpus` | 1-512 | the most that `--cpus` can ask for; the number of cores in the source by default |
//! | `hyperemu,max-size` | memory node | 1-2 cells | the most that `--memory` can ask for, in bytes |
//! | `hyperemu,device` | `virtio,mmio` | `"gpu"`, `"keyboard"`, `"tablet"`, `"touch"`, `"blk"`, `"net"`, `"rng"`, `"9p"`, `"console"` | what the slot holds; empty without it |
//! | `hyperemu,width`, `hyperemu,height` | a screen | 1-16384 | size in pixels |
//! | `hyperemu,mac` | a network card | string | its address, as in `"52:54:00:12:34:56"`; derived from the seed without it |
//! | `hyperemu,epoch` | a clock | 1-2 cells | the time at reset, in seconds of Unix time |
//! | `hyperemu,normally-black` | a screen | none | its glass shows the inverse of what it is given |
//! | `hyperemu,part` | factory information of an nRF chip | 0x51822, 0x52832, 0x52840 | which chip it is |
//! | `hyperemu,pins` | peripheral that uses GPIO pins by number | references | the GPIO controllers whose pins it sees and drives: pins 0 to 31 of the first, 32 to 63 of the second |
//! | `hyperemu,position` | a LED or button | `<x y>` | where the window shows it, in pixels |
//! | `hyperemu,color` | a LED | string | colour, where `color` of its binding does not say |
//! | `hyperemu,hidden` | any node | none | the guest does not see the node, nor those below it |
//!
//! # What becomes what
//!
//! - Nodes with `device_type = "memory"`, and those compatible with `mmio-sram`, `mtd-rom` and the SiFive ROMs and ITIM, are
//!   [`MemoryRegion`]s. `/cpus/cpu@*` are [`Cpu`]s. `simple-bus` nodes vanish: what hangs on them hangs on the cores' bus. Every other
//!   enabled node is a [`DeviceNode`], with the nodes below it as its children.
//! - Addresses are translated through `ranges`; interrupts are resolved through `interrupt-parent`, `interrupts-extended` and
//!   `interrupt-map`; GPIOs, clocks and the like are [`Reference`]s.
//! - Interrupts to a disabled controller keep their place as [`Controller::None`], because an interrupt controller numbers its outputs by
//!   their place.

mod board;
mod builtin;
pub mod dtb;
pub mod dts;
mod error;
pub mod source;
pub mod tree;

pub use board::*;
pub use error::{Diagnostic, Error};
