//! A web server on the host for guests to fetch from.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};

/// Serves one page at every path, on a port of the loopback interface, until the test ends.
pub fn serve(page: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The request ends with an empty line; what it asks for does not matter.
            let lines = BufReader::new(&stream).lines();
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let length = page.len();
            let head =
                format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\nContent-Type: text/plain\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(page.as_bytes()));
        }
    });
    port
}
