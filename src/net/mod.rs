//! Does what the engine asks: names, sockets, time. Knows no protocol.
