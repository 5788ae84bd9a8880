//! The GPU device in 2D: virtio 1.2, section 5.7.
//!
//! One scanout, all 2D formats, EDID, fences (every command is done when it is answered), and the cursor. Left
//! out: 3D (virgl), blobs, UUIDs of resources, and a screen that changes its size while the guest runs.
//!
//! What is shown changes when the guest flushes, or sets a scanout, not when it transfers. The cursor's position is
//! that of its top left corner, as Linux sends it, and its colours are multiplied by their alpha before.

pub mod edid;
pub mod resource;

use super::device::{Io, VirtioDevice};
use super::queue::Chain;
use devices_core::{BuildError, Component, Ctx, Display, Field, Frame, Node, Port, RestoreError, state};
use resource::{Backing, Bytes, Layout, Rect, Resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const CONTROL: usize = 0;

/// Most bytes of all resources; a screen of 4096 x 4096 pixels takes 64 MiB.
const MAX_BYTES: u64 = 256 << 20;
const MAX_RESOURCES: usize = 4096;
const MAX_SIDE: u32 = 16384;
/// Most pieces of guest memory behind all resources.
const MAX_PIECES: usize = 1 << 18;
/// Bytes of pixels that one call moves before the guest runs on.
const BUDGET: u64 = 64 << 20;

const F_EDID: u64 = 1 << 1;

const FLAG_FENCE: u32 = 1 << 0;

const CURSOR_SIDE: u32 = 64;

/// Types of commands.
mod command {
    pub const GET_DISPLAY_INFO: u32 = 0x100;
    pub const RESOURCE_CREATE_2D: u32 = 0x101;
    pub const RESOURCE_UNREF: u32 = 0x102;
    pub const SET_SCANOUT: u32 = 0x103;
    pub const RESOURCE_FLUSH: u32 = 0x104;
    pub const TRANSFER_TO_HOST_2D: u32 = 0x105;
    pub const ATTACH_BACKING: u32 = 0x106;
    pub const DETACH_BACKING: u32 = 0x107;
    pub const GET_EDID: u32 = 0x10a;
    pub const UPDATE_CURSOR: u32 = 0x300;
    pub const MOVE_CURSOR: u32 = 0x301;
}

const OK_NODATA: u32 = 0x1100;
const OK_DISPLAY_INFO: u32 = 0x1101;
const OK_EDID: u32 = 0x1104;

/// Why a command failed: the type of its answer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Refused {
    Unspecified = 0x1200,
    OutOfMemory = 0x1201,
    ScanoutId = 0x1202,
    ResourceId = 0x1203,
    Parameter = 0x1205,
}

/// An answer: its type, and what follows the header.
type Answer = Result<(u32, Vec<u8>), Refused>;

const DONE: Answer = Ok((OK_NODATA, Vec::new()));

#[derive(Clone, Default, Serialize, Deserialize)]
struct Cursor {
    shown: bool,
    x: i32,
    y: i32,
    /// `0xAARRGGBB`, 64 x 64.
    pixels: Vec<u32>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    resources: BTreeMap<u32, Resource>,
    /// The resource that is scanned out, and the part of it.
    scanout: Option<(u32, Rect)>,
    /// What is shown: `0x00RRGGBB`, little endian, of the size of the scanout.
    screen: Bytes,
    cursor: Cursor,
}

/// A GPU with one screen.
pub struct Gpu {
    width: u32,
    height: u32,
    generation: u64,
    state: State,
}

/// Reads little-endian fields one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&mut self) -> Result<u32, Refused> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Refused::Parameter)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*first))
    }

    fn u64(&mut self) -> Result<u64, Refused> {
        Ok(u64::from(self.u32()?) | u64::from(self.u32()?) << 32)
    }

    fn rect(&mut self) -> Result<Rect, Refused> {
        Ok(Rect { x: self.u32()?, y: self.u32()?, width: self.u32()?, height: self.u32()? })
    }
}

impl Gpu {
    /// A screen of this size in pixels, both from 64 to 4095.
    pub fn new(width: u32, height: u32) -> Gpu {
        Gpu { width, height, generation: 0, state: State::default() }
    }

    /// A screen of `hyperemu,width` by `hyperemu,height`; 1280 by 800 if they are not there.
    pub fn from_node(node: &dyn Node) -> Result<Gpu, BuildError> {
        let side = |property: &str, default| match node.u32(property) {
            None if !node.has(property) => Ok(default),
            Some(pixels @ 64..=edid::MAX_SIZE) => Ok(pixels),
            _ => {
                let message = format!("expected one number of pixels, from 64 to {}", edid::MAX_SIZE);
                Err(BuildError::property(property, message))
            }
        };
        Ok(Gpu::new(side("hyperemu,width", 1280)?, side("hyperemu,height", 800)?))
    }

    fn resource(&mut self, id: u32) -> Result<&mut Resource, Refused> {
        self.state.resources.get_mut(&id).ok_or(Refused::ResourceId)
    }

    fn changed(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    fn display_info(&self) -> Answer {
        let mut info = Vec::with_capacity(16 * 24);
        for value in [0, 0, self.width, self.height, 1, 0] {
            info.extend_from_slice(&value.to_le_bytes());
        }
        info.resize(16 * 24, 0);
        Ok((OK_DISPLAY_INFO, info))
    }

    fn edid(&self, scanout: u32) -> Answer {
        if scanout != 0 {
            return Err(Refused::ScanoutId);
        }
        let mut answer = vec![128, 0, 0, 0, 0, 0, 0, 0];
        answer.extend_from_slice(&edid::block(self.width, self.height));
        answer.resize(8 + 1024, 0);
        Ok((OK_EDID, answer))
    }

    fn create(&mut self, id: u32, format: u32, width: u32, height: u32) -> Answer {
        if id == 0 || self.state.resources.contains_key(&id) {
            return Err(Refused::ResourceId);
        }
        let side = 1..=MAX_SIDE;
        if Layout::of(format).is_none() || !side.contains(&width) || !side.contains(&height) {
            return Err(Refused::Parameter);
        }
        let used: u64 = self.state.resources.values().map(|resource| resource.pixels.0.len() as u64).sum();
        let bytes = Resource::bytes(width, height);
        if used + bytes > MAX_BYTES || self.state.resources.len() >= MAX_RESOURCES {
            return Err(Refused::OutOfMemory);
        }
        let pixels = Bytes(vec![0; bytes as usize]);
        self.state.resources.insert(id, Resource { format, width, height, pixels, backing: None });
        DONE
    }

    fn unref(&mut self, id: u32) -> Answer {
        self.state.resources.remove(&id).ok_or(Refused::ResourceId)?;
        if self.state.scanout.is_some_and(|(shown, _)| shown == id) {
            self.blank();
        }
        DONE
    }

    fn blank(&mut self) {
        self.state.scanout = None;
        self.state.screen = Bytes::default();
        self.changed();
    }

    fn set_scanout(&mut self, part: Rect, scanout: u32, id: u32) -> Answer {
        if scanout != 0 {
            return Err(Refused::ScanoutId);
        }
        if id == 0 {
            self.blank();
            return DONE;
        }
        let resource = self.resource(id)?;
        if !part.lies_in(resource.width, resource.height) {
            return Err(Refused::Parameter);
        }
        self.state.scanout = Some((id, part));
        self.state.screen = Bytes(vec![0; Resource::bytes(part.width, part.height) as usize]);
        self.show(part);
        DONE
    }

    fn flush(&mut self, part: Rect, id: u32) -> Answer {
        let resource = self.resource(id)?;
        if !part.lies_in(resource.width, resource.height) {
            return Err(Refused::Parameter);
        }
        if self.state.scanout.is_some_and(|(shown, _)| shown == id) {
            self.show(part);
        }
        DONE
    }

    /// Copies a part of the scanned out resource to the screen.
    fn show(&mut self, part: Rect) {
        let State { resources, scanout: Some((id, window)), screen, .. } = &mut self.state else { return };
        let (Some(resource), Some(part)) = (resources.get(id), part.and(window)) else { return };
        for y in part.y..part.y + part.height {
            let at = (u64::from(y - window.y) * u64::from(window.width) + u64::from(part.x - window.x)) * 4;
            let row = screen.0.get_mut(at as usize..).unwrap_or_default();
            for (to, argb) in row.as_chunks_mut::<4>().0.iter_mut().zip(resource.row(part.x, y, part.width)) {
                *to = (argb & 0xff_ffff).to_le_bytes();
            }
        }
        self.changed();
    }

    fn transfer(&mut self, io: &Io, part: Rect, offset: u64, id: u32) -> Answer {
        let resource = self.resource(id)?;
        if !part.lies_in(resource.width, resource.height) {
            return Err(Refused::Parameter);
        }
        if resource.backing.is_none() {
            return Err(Refused::Unspecified);
        }
        resource.transfer(&io.memory, &part, offset);
        DONE
    }

    fn attach(&mut self, io: &Io, chain: &mut Chain, id: u32, count: u32) -> Answer {
        let in_use: usize =
            self.state.resources.values().flat_map(|resource| &resource.backing).map(Backing::pieces).sum();
        let resource = self.resource(id)?;
        if resource.backing.is_some() {
            return Err(Refused::Unspecified);
        }
        if count as usize > MAX_PIECES - in_use.min(MAX_PIECES) {
            return Err(Refused::OutOfMemory);
        }
        let mut backing = Backing::default();
        for _ in 0..count {
            let entry = chain.readable.array::<16>(&io.memory).ok_or(Refused::Parameter)?;
            let entry = u128::from_le_bytes(entry);
            let (addr, len) = (entry as u64, (entry >> 64) as u32);
            if len > 0 && io.memory.region(addr, len.into()).is_none() {
                return Err(Refused::Parameter);
            }
            backing.add(addr, len);
        }
        resource.backing = Some(backing);
        DONE
    }

    fn detach(&mut self, id: u32) -> Answer {
        self.resource(id)?.backing.take().ok_or(Refused::Unspecified)?;
        DONE
    }

    /// A command of the control queue; returns how many bytes it moved, too.
    fn control(&mut self, io: &Io, chain: &mut Chain, kind: u32) -> (Answer, u64) {
        let bytes = match kind {
            // What follows is read piece by piece.
            command::ATTACH_BACKING => chain.readable.take(&io.memory, 8),
            _ => chain.readable.take(&io.memory, 64),
        };
        let mut fields = Fields(&bytes);
        // Parts are checked before they are moved, so that none costs more than all resources hold.
        let mut moved = 0;
        let mut cost = |part: &Rect| moved = Resource::bytes(part.width, part.height).min(MAX_BYTES);
        let answer = (|| match kind {
            command::GET_DISPLAY_INFO => self.display_info(),
            command::GET_EDID => self.edid(fields.u32()?),
            command::RESOURCE_CREATE_2D => {
                self.create(fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?)
            }
            command::RESOURCE_UNREF => self.unref(fields.u32()?),
            command::SET_SCANOUT => {
                let part = fields.rect()?;
                cost(&part);
                self.set_scanout(part, fields.u32()?, fields.u32()?)
            }
            command::RESOURCE_FLUSH => {
                let part = fields.rect()?;
                cost(&part);
                self.flush(part, fields.u32()?)
            }
            command::TRANSFER_TO_HOST_2D => {
                let part = fields.rect()?;
                cost(&part);
                self.transfer(io, part, fields.u64()?, fields.u32()?)
            }
            command::ATTACH_BACKING => self.attach(io, chain, fields.u32()?, fields.u32()?),
            command::DETACH_BACKING => self.detach(fields.u32()?),
            _ => Err(Refused::Unspecified),
        })();
        (answer, moved)
    }

    fn cursor(&mut self, io: &Io, chain: &mut Chain, kind: u32) -> Answer {
        let bytes = chain.readable.take(&io.memory, 32);
        let mut fields = Fields(&bytes);
        let (scanout, x, y, _) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
        let id = fields.u32()?;
        if scanout != 0 {
            return Err(Refused::ScanoutId);
        }
        match kind {
            command::UPDATE_CURSOR if id == 0 => self.state.cursor = Cursor::default(),
            command::UPDATE_CURSOR => {
                let resource = self.resource(id)?;
                if (resource.width, resource.height) != (CURSOR_SIDE, CURSOR_SIDE) {
                    return Err(Refused::Parameter);
                }
                let pixels = (0..CURSOR_SIDE).flat_map(|y| resource.row(0, y, CURSOR_SIDE)).collect();
                self.state.cursor = Cursor { shown: true, pixels, x: 0, y: 0 };
            }
            command::MOVE_CURSOR => {}
            _ => return Err(Refused::Unspecified),
        }
        (self.state.cursor.x, self.state.cursor.y) = (x as i32, y as i32);
        self.changed();
        DONE
    }

    fn serve(&mut self, io: &mut Io, queue: usize, chain: &mut Chain) -> u64 {
        let header = chain.readable.array::<24>(&io.memory);
        let (answer, moved, header) = match header {
            None => (Err(Refused::Unspecified), 0, [0; 24]),
            Some(header) => {
                let kind = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
                let (answer, moved) = match queue {
                    CONTROL => self.control(io, chain, kind),
                    _ => (self.cursor(io, chain, kind), 0),
                };
                if let Err(refused) = answer {
                    io.ctx.complain(format!("virtio gpu: command {kind:#x}: {refused:?}"));
                }
                (answer, moved, header)
            }
        };
        let (kind, body) = answer.unwrap_or_else(|refused| (refused as u32, Vec::new()));
        let mut response = [0; 24];
        response[..4].copy_from_slice(&kind.to_le_bytes());
        if u32::from(header[4]) & FLAG_FENCE != 0 {
            // The flag, the fence and its context come back, now that the command is done.
            response[4] = FLAG_FENCE as u8;
            response[8..20].copy_from_slice(&header[8..20]);
        }
        chain.writable.write(&io.memory, &response);
        chain.writable.write(&io.memory, &body);
        moved
    }

    fn size(&self) -> (u32, u32) {
        self.state.scanout.map_or((self.width, self.height), |(_, part)| (part.width, part.height))
    }
}

impl Component for Gpu {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let saved: State = state::decode(bytes)?;
        let screen = saved.scanout.map_or(0, |(_, part)| Resource::bytes(part.width, part.height));
        let cursor = if saved.cursor.shown { (CURSOR_SIDE * CURSOR_SIDE) as usize } else { 0 };
        if !saved.resources.values().all(Resource::is_sound)
            || saved.screen.0.len() as u64 != screen
            || saved.cursor.pixels.len() != cursor
        {
            return Err(RestoreError("a picture of the GPU has another size than it says".into()));
        }
        self.state = saved;
        self.changed();
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let field = |name: &str, value: String| Field { name: name.into(), value };
        let resources = self.state.resources.iter().map(|(id, resource)| {
            let Resource { width, height, format, .. } = resource;
            field(&format!("resource {id}"), format!("{width} x {height}, format {format}"))
        });
        let scanout = field("scanout", format!("{:?}", self.state.scanout));
        std::iter::once(scanout).chain(resources).collect()
    }
}

impl VirtioDevice for Gpu {
    fn id(&self) -> u32 {
        16
    }

    fn features(&self) -> u64 {
        F_EDID
    }

    fn queues(&self) -> &'static [u16] {
        &[64, 16]
    }

    fn config(&self) -> Vec<u8> {
        // events_read, events_clear, num_scanouts, num_capsets
        [0u32, 0, 1, 0].iter().flat_map(|field| field.to_le_bytes()).collect()
    }

    fn reset(&mut self, _ctx: &mut Ctx, _power: bool) {
        self.state = State::default();
        self.changed();
    }

    fn notify(&mut self, io: &mut Io, queue: usize) {
        let mut budget = BUDGET;
        while let Some(mut chain) = io.pop(queue) {
            let moved = self.serve(io, queue, &mut chain);
            io.complete(queue, &chain);
            budget = budget.saturating_sub(moved);
            if budget == 0 {
                io.ctx.schedule(queue as u32, io.ctx.now());
                return;
            }
        }
    }

    fn event(&mut self, io: &mut Io, token: u32) {
        self.notify(io, token as usize);
    }

    fn port(&self) -> Option<Port> {
        Some(Port::Display)
    }

    fn display(&self) -> Option<&dyn Display> {
        Some(self)
    }
}

impl Display for Gpu {
    fn size(&self) -> (u32, u32) {
        self.size()
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn copy(&self, into: &mut Frame) {
        let (width, height) = self.size();
        into.resize(width, height);
        for (to, from) in into.pixels.iter_mut().zip(self.state.screen.0.as_chunks::<4>().0) {
            *to = u32::from_le_bytes(*from);
        }
        let cursor = &self.state.cursor;
        if !cursor.shown {
            return;
        }
        for (row, pixels) in (0i64..).zip(cursor.pixels.chunks_exact(CURSOR_SIDE as usize)) {
            let y = i64::from(cursor.y) + row;
            for (column, pixel) in (0i64..).zip(pixels) {
                let x = i64::from(cursor.x) + column;
                if (0..i64::from(width)).contains(&x)
                    && let Ok(at) = usize::try_from(y * i64::from(width) + x)
                    && let Some(to) = into.pixels.get_mut(at)
                {
                    *to = over(*pixel, *to);
                }
            }
        }
    }
}

/// A pixel whose colours are multiplied by its alpha, over an opaque one.
fn over(top: u32, below: u32) -> u32 {
    let rest = 255 - (top >> 24);
    [16, 8, 0].iter().fold(0, |sum, shift| {
        let part = |pixel: u32| pixel >> shift & 0xff;
        sum | (part(top) + (part(below) * rest + 127) / 255).min(255) << shift
    })
}

#[cfg(test)]
mod tests;
