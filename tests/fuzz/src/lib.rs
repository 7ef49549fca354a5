//! Two hosts on a simulated network, of which one sends what the fuzzer says.

use lariat::ffi::{
    calls::*, chain::*, connect::*, listener::*, options::*, protocol::*, reactor::*, simulated_network::*,
};
use lariat::ffi::{simulation::*, stats::*, transport::*, types::*};
use std::ffi::{CString, c_char, c_void};
use std::ptr::null_mut;

/// Longer than any time-out.
const LONG: f64 = 1000.0;
/// Between two pieces of what is sent, longer than they are on their way.
const APART: f64 = 0.02;

/// The world.
pub struct World {
    simulation: *mut lariat_simulation,
    /// The one that is tested.
    pub tested: *mut lariat_reactor,
    /// The one that sends what the fuzzer says.
    pub peer: *mut lariat_reactor,
    script: Script,
}

/// What the peer sends, and how far it is.
struct Script {
    bytes: Vec<u8>,
    piece: usize,
    sent: usize,
    transport: *mut lariat_transport,
    reactor: *mut lariat_reactor,
    ends: bool,
}

fn reactor(simulation: *mut lariat_simulation, host: &str) -> *mut lariat_reactor {
    let host = CString::new(host).expect("no NUL");
    // SAFETY: plain numbers and pointers, which are filled at once.
    let mut options: lariat_reactor_options = unsafe { std::mem::zeroed() };
    assert_eq!(lariat_reactor_options_init(&mut options, size_of::<lariat_reactor_options>() as u32), 0);
    options.driver = LARIAT_DRIVER_SIMULATED;
    options.simulation = simulation;
    options.host = host.as_ptr();
    let reactor = lariat_reactor_new_with_options(&options);
    assert!(!reactor.is_null());
    reactor
}

impl World {
    /// A new one, in which the peer will send these bytes, so many at a time, and then end or not.
    pub fn new(bytes: &[u8], piece: usize, ends: bool) -> Box<Self> {
        let simulation = lariat_simulation_new(1);
        let (tested, peer) = (reactor(simulation, "tested"), reactor(simulation, "peer"));
        let script = Script { bytes: bytes.to_vec(), piece, sent: 0, transport: null_mut(), reactor: peer, ends };
        Box::new(Self { simulation, tested, peer, script })
    }

    /// The endpoint of a host.
    pub fn endpoint(&self, host: &str, port: u16) -> String {
        let host = CString::new(host).expect("no NUL");
        let mut text = [0u8; 64];
        let place = text.as_mut_ptr().cast::<c_char>();
        let got = lariat_simulation_host_address(self.simulation, host.as_ptr(), 4, place, text.len(), null_mut());
        assert_eq!(got, 0);
        let end = text.iter().position(|byte| *byte == 0).expect("a NUL");
        format!("{}:{port}", std::str::from_utf8(&text[..end]).expect("an address"))
    }

    fn protocol(&self) -> lariat_protocol {
        // SAFETY: as above.
        let mut protocol: lariat_protocol = unsafe { std::mem::zeroed() };
        assert_eq!(lariat_protocol_init(&mut protocol, size_of::<lariat_protocol>() as u32), 0);
        protocol.connection_made = Some(made);
        protocol.data_received = Some(ignore);
        protocol.connection_lost = Some(lost);
        protocol
    }

    /// Has the peer connect and begin to send.
    pub fn connect(&mut self, endpoint: &str) {
        let endpoint = CString::new(format!("tcp://{endpoint}")).expect("no NUL");
        let protocol = self.protocol();
        let script = (&raw mut self.script).cast::<c_void>();
        lariat_deferred_release(lariat_reactor_connect(self.peer, endpoint.as_ptr(), &protocol, script));
    }

    /// Has the peer wait for connections, and send on each; the last goes on.
    pub fn listen(&mut self, endpoint: &str) {
        let endpoint = CString::new(format!("tcp://{endpoint}")).expect("no NUL");
        let protocol = self.protocol();
        let script = (&raw mut self.script).cast::<c_void>();
        assert!(!lariat_reactor_listen(self.peer, endpoint.as_ptr(), &protocol, None, script).is_null());
    }

    /// Runs it until whatever waits has run out of patience; what is left then.
    pub fn run(&mut self) -> lariat_stats {
        assert_eq!(lariat_simulation_run(self.simulation, LONG), 0);
        // SAFETY: as above.
        let mut stats: lariat_stats = unsafe { std::mem::zeroed() };
        assert_eq!(lariat_stats_init(&mut stats, size_of::<lariat_stats>() as u32), 0);
        assert_eq!(lariat_reactor_stats(self.tested, &mut stats), 0);
        stats
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A panic inside, which a host would be told of by a status, ends here.
        assert_eq!(lariat_reactor_free(self.tested), 0);
        assert_eq!(lariat_reactor_free(self.peer), 0);
        assert_eq!(lariat_simulation_free(self.simulation), 0);
    }
}

/// The script that a callback got.
fn script<'a>(data: *mut c_void) -> &'a mut Script {
    // SAFETY: it is in a box that outlives the reactors, and nobody else looks at it.
    unsafe { &mut *data.cast::<Script>() }
}

extern "C" fn made(transport: *mut lariat_transport, data: *mut c_void) {
    let script = script(data);
    (script.transport, script.sent) = (transport, 0);
    send(data);
}

extern "C" fn ignore(_: *mut lariat_transport, _: *const u8, _: usize, _: *mut c_void) {}

extern "C" fn lost(transport: *mut lariat_transport, _: *const lariat_failure, data: *mut c_void) {
    let script = script(data);
    if script.transport == transport {
        script.transport = null_mut();
    }
}

extern "C" fn send(data: *mut c_void) {
    let it = script(data);
    if it.transport.is_null() {
        return;
    }
    let left = &it.bytes[it.sent..];
    if left.is_empty() {
        if it.ends {
            lariat_transport_lose_write_connection(it.transport);
        }
        return;
    }
    let piece = &left[..it.piece.clamp(1, left.len())];
    lariat_transport_write(it.transport, piece.as_ptr(), piece.len());
    it.sent += piece.len();
    assert!(!lariat_reactor_call_later(it.reactor, APART, Some(send), data).is_null());
}
