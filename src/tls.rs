//! Encrypted connections: every HTTP client of this program begins here.

use reqwest::{Client, ClientBuilder};

/// A builder of HTTP clients whose cryptography is ring's and whose trusted roots are the system's.
pub(crate) fn client_builder() -> ClientBuilder {
    // reqwest wants one provider for the whole process. Only the first call installs it; a program that uses this library may have
    // installed its own before, which then counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_can_be_made_again_and_again() {
        for _ in 0..2 {
            assert!(client_builder().build().is_ok());
        }
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
