//! The conversation with one client.

use crate::Target;
use crate::adapter::Adapter;
use crate::framing::{Framing, PACKET_SIZE, Received, frame};
use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStubBuilder, MultiThreadStopReason};
use std::convert::Infallible;

/// How a session ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The client left; the machine goes on.
    Detached,
    /// The client wants the program to end.
    Killed,
    /// The run is over, and the client knows.
    Exited,
}

/// What gdbstub sends, until it is known whether that is worth anything.
#[derive(Default)]
struct Outbox(Vec<u8>);

impl Connection for Outbox {
    type Error = Infallible;

    fn write(&mut self, byte: u8) -> Result<(), Infallible> {
        self.0.push(byte);
        Ok(())
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

type Stub<T> = GdbStubStateMachine<'static, Adapter<T>, Outbox>;

/// A conversation with one client. It starts with the target stopped.
pub struct Session<T: Target> {
    adapter: Adapter<T>,
    framing: Framing,
    /// `None` for a moment at most: gdbstub forgets everything with a packet that it can not take.
    stub: Option<Stub<T>>,
    /// The packets by which the client set the session up, to tell a new stub.
    setup: [Option<Vec<u8>>; 3],
    end: Option<End>,
}

/// Which of [`Session::setup`] a packet is.
fn setup_slot(body: &[u8]) -> Option<usize> {
    [&b"qSupported"[..], b"Hg", b"Hc"].iter().position(|prefix| body.starts_with(prefix))
}

impl<T: Target> Session<T> {
    /// Nothing is said yet.
    pub fn new(target: T) -> Session<T> {
        let mut adapter = Adapter::new(target);
        let stub = new_stub(&mut adapter, &[]);
        Session { adapter, framing: Framing::new(), stub, setup: [None, None, None], end: None }
    }

    /// The target.
    pub fn target(&self) -> &T {
        &self.adapter.target
    }

    /// The target, to be changed.
    pub fn target_mut(&mut self) -> &mut T {
        &mut self.adapter.target
    }

    /// Ends the session: removes the client's breakpoints.
    pub fn into_target(self) -> T {
        self.adapter.into_target()
    }

    /// How it ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether the client waits for a stop: then [`Session::run`].
    pub fn is_running(&self) -> bool {
        self.end.is_none() && matches!(self.stub, Some(GdbStubStateMachine::Running(_)))
    }

    /// What is to be written to the client.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.framing.take_output()
    }

    /// Takes what the client wrote.
    pub fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.end.is_some() {
                return;
            }
            let Some(received) = self.framing.receive(*byte) else { continue };
            // While the client waits for a stop it sends interrupts only; anything else means the same, first.
            if self.is_running() {
                let reason = self.adapter.interrupt();
                self.stop(reason);
            }
            match received {
                Received::Interrupt => {}
                Received::Oversized => self.framing.send(b"E16"),
                Received::Packet(body) => self.packet(&body),
            }
        }
    }

    /// Lets the target run for a short while, and tells the client if it stopped. Does nothing while stopped.
    pub fn run(&mut self) {
        if !self.is_running() {
            return;
        }
        let reason = self.adapter.run();
        if let Some(message) = self.adapter.message.take() {
            let text: String = format!("{message}\n").bytes().map(|byte| format!("{byte:02x}")).collect();
            self.framing.send(format!("O{text}").as_bytes());
        }
        if let Some(reason) = reason {
            self.stop(reason);
        }
    }

    fn stop(&mut self, reason: MultiThreadStopReason<u64>) {
        self.stub = match self.stub.take() {
            Some(GdbStubStateMachine::Running(running)) => {
                running.report_stop(&mut self.adapter, reason).ok()
            }
            other => other,
        };
        self.settle();
    }

    fn packet(&mut self, body: &[u8]) {
        if !acceptable(body) {
            self.framing.send(b"E16");
            return;
        }
        // gdbstub leaves this one unanswered.
        if body.starts_with(b"vKill") {
            self.framing.send(b"OK");
            self.end = Some(End::Killed);
            return;
        }
        self.stub = self.stub.take().and_then(|stub| feed(stub, &mut self.adapter, body));
        if self.stub.is_some()
            && let Some(slot) = setup_slot(body).and_then(|slot| self.setup.get_mut(slot))
        {
            *slot = Some(body.to_vec());
        }
        self.settle();
        if body == b"QStartNoAckMode" {
            self.framing.stop_acknowledging();
        }
    }

    /// Sends what the stub has to say, and looks how it is.
    fn settle(&mut self) {
        match &mut self.stub {
            Some(stub) => self.framing.send_framed(&take_outbox(stub)),
            None => {
                self.framing.send(b"E16");
                let setup: Vec<&[u8]> = self.setup.iter().flatten().map(Vec::as_slice).collect();
                self.stub = new_stub(&mut self.adapter, &setup);
            }
        }
        if let Some(GdbStubStateMachine::Disconnected(disconnected)) = &self.stub {
            self.end = Some(match disconnected.get_reason() {
                DisconnectReason::Disconnect => End::Detached,
                DisconnectReason::Kill => End::Killed,
                DisconnectReason::TargetExited(_) | DisconnectReason::TargetTerminated(_) => End::Exited,
            });
        }
        if self.adapter.quit {
            self.end = Some(End::Killed);
        }
    }
}

/// A stub that has these packets behind it, and acknowledges none.
fn new_stub<T: Target>(adapter: &mut Adapter<T>, setup: &[&[u8]]) -> Option<Stub<T>> {
    let stub = GdbStubBuilder::new(Outbox::default()).packet_buffer_size(PACKET_SIZE).build().ok()?;
    let stub = stub.run_state_machine(adapter).ok()?;
    let packets = [&b"QStartNoAckMode"[..]].into_iter().chain(setup.iter().copied());
    let mut stub = packets.into_iter().try_fold(stub, |stub, body| feed(stub, adapter, body))?;
    take_outbox(&mut stub);
    Some(stub)
}

/// Gives a stopped stub a packet; `None` if it can not take it.
fn feed<T: Target>(mut stub: Stub<T>, adapter: &mut Adapter<T>, body: &[u8]) -> Option<Stub<T>> {
    for byte in frame(body) {
        stub = match stub {
            GdbStubStateMachine::Idle(idle) => idle.incoming_data(adapter, byte).ok()?,
            other => other,
        };
    }
    Some(stub)
}

fn take_outbox<T: Target>(stub: &mut Stub<T>) -> Vec<u8> {
    let outbox = match stub {
        GdbStubStateMachine::Idle(inner) => inner.borrow_conn(),
        GdbStubStateMachine::Running(inner) => inner.borrow_conn(),
        GdbStubStateMachine::CtrlCInterrupt(inner) => inner.borrow_conn(),
        GdbStubStateMachine::Disconnected(inner) => inner.borrow_conn(),
    };
    std::mem::take(&mut outbox.0)
}

/// Whether gdbstub may see a packet. It reads memory piece by piece without an end to the length or the address,
/// where a client asks for no more than an answer holds.
fn acceptable(body: &[u8]) -> bool {
    let Some(arguments) = body.strip_prefix(b"m") else { return true };
    let mut arguments = arguments.split(|byte| *byte == b',');
    let address = arguments.next().is_some_and(|text| text.len() <= 16);
    let length = arguments.next().and_then(|text| std::str::from_utf8(text).ok());
    let length = length.and_then(|text| u64::from_str_radix(text, 16).ok());
    address && length.is_some_and(|length| length <= (PACKET_SIZE / 2) as u64)
}
