//! The C interface: `conn_*`. The only place in this package with `extern "C"`.
