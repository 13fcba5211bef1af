//! Says why a handshake failed, in the words that libpq has from OpenSSL. Knows errors, and decides nothing.

use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved,
};

use crate::conninfo::tls::{Tls, TlsVersion};
use crate::net::tls::verify::Refusal;

/// Of which keys signatures can be checked.
const SUPPORTED_KEYS: &str =
    "RSA keys of 2048 to 8192 bits, ECDSA keys on P-256 or P-384, and Ed25519 keys";

/// The text of an error; with lines behind it that say what to do, where there is something.
pub(super) fn explain(error: &Error, tls: &Tls) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            match other.0.downcast_ref::<Refusal>() {
                Some(Refusal::Host(text)) => text.clone(),
                _ => format!("SSL error: certificate verify failed: {other}"),
            }
        }
        Error::InvalidCertificate(CertificateError::BadEncoding) => {
            String::from("SSL error: certificate verify failed: the certificate is malformed")
        }
        Error::InvalidCertificate(CertificateError::BadSignature) => String::from(
            "SSL error: bad signature: the server does not have the key of its certificate",
        ),
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            with_versions("tlsv1 alert protocol version", tls)
        }
        Error::AlertReceived(alert @ AlertDescription::HandshakeFailure) => format!(
            "SSL error: {}\nThis may indicate that the server has no cipher that is supported here, or a certificate whose key is not: {SUPPORTED_KEYS} are.",
            alert_text(*alert)
        ),
        Error::AlertReceived(alert) => format!("SSL error: {}", alert_text(*alert)),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => with_versions("unsupported protocol", tls),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) => with_versions("wrong version number", tls),
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            String::from("SSL connection was established with unexpected ALPN protocol")
        }
        Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme) => {
            format!(
                "SSL error: wrong signature type: the server's certificate has a key that is not supported; {SUPPORTED_KEYS} are"
            )
        }
        Error::DecryptError => String::from("SSL error: decryption failed or bad record mac"),
        other => format!("SSL error: {other}"),
    }
}

/// What libpq adds when it may be the version's fault.
fn with_versions(reason: &str, tls: &Tls) -> String {
    let from = tls
        .min_version
        .unwrap_or(TlsVersion::V1_2)
        .max(TlsVersion::V1_2);
    let to = tls.max_version.unwrap_or(TlsVersion::V1_3);
    format!(
        "SSL error: {reason}\nThis may indicate that the server does not support any SSL protocol version between {} and {}.\nVersions before TLSv1.2 are not supported here: let the server offer a later one.",
        version_text(from),
        version_text(to)
    )
}

/// As the options spell it.
pub(super) fn version_text(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::V1_0 => "TLSv1",
        TlsVersion::V1_1 => "TLSv1.1",
        TlsVersion::V1_2 => "TLSv1.2",
        TlsVersion::V1_3 => "TLSv1.3",
    }
}

/// OpenSSL's texts, with "ssl/tls" where versions before 3.2 have "sslv3".
fn alert_text(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let text = match alert {
        A::UnexpectedMessage => "ssl/tls alert unexpected message",
        A::BadRecordMac => "ssl/tls alert bad record mac",
        A::DecryptionFailed => "tlsv1 alert decryption failed",
        A::RecordOverflow => "tlsv1 alert record overflow",
        A::DecompressionFailure => "ssl/tls alert decompression failure",
        A::HandshakeFailure => "ssl/tls alert handshake failure",
        A::NoCertificate => "ssl/tls alert no certificate",
        A::BadCertificate => "ssl/tls alert bad certificate",
        A::UnsupportedCertificate => "ssl/tls alert unsupported certificate",
        A::CertificateRevoked => "ssl/tls alert certificate revoked",
        A::CertificateExpired => "ssl/tls alert certificate expired",
        A::CertificateUnknown => "ssl/tls alert certificate unknown",
        A::IllegalParameter => "ssl/tls alert illegal parameter",
        A::UnknownCA => "tlsv1 alert unknown ca",
        A::AccessDenied => "tlsv1 alert access denied",
        A::DecodeError => "tlsv1 alert decode error",
        A::DecryptError => "tlsv1 alert decrypt error",
        A::ExportRestriction => "tlsv1 alert export restriction",
        A::ProtocolVersion => "tlsv1 alert protocol version",
        A::InsufficientSecurity => "tlsv1 alert insufficient security",
        A::InternalError => "tlsv1 alert internal error",
        A::InappropriateFallback => "tlsv1 alert inappropriate fallback",
        A::UserCanceled => "tlsv1 alert user cancelled",
        A::NoRenegotiation => "tlsv1 alert no renegotiation",
        A::MissingExtension => "tlsv13 alert missing extension",
        A::UnsupportedExtension => "tlsv1 unsupported extension",
        A::CertificateUnobtainable => "tlsv1 certificate unobtainable",
        A::UnrecognisedName => "tlsv1 unrecognized name",
        A::BadCertificateStatusResponse => "tlsv1 bad certificate status response",
        A::BadCertificateHashValue => "tlsv1 bad certificate hash value",
        A::UnknownPSKIdentity => "tlsv1 alert unknown psk identity",
        A::CertificateRequired => "tlsv13 alert certificate required",
        A::NoApplicationProtocol => "no application protocol",
        other => return format!("alert number {}", u8::from(other)),
    };
    String::from(text)
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

    use super::explain;
    use crate::conninfo::tls::TlsVersion;
    use crate::net::tls::tests::options;

    #[test]
    fn alerts_are_told_in_openssls_words() {
        for (alert, text) in [
            (AlertDescription::UnknownCA, "tlsv1 alert unknown ca"),
            (
                AlertDescription::CertificateRevoked,
                "ssl/tls alert certificate revoked",
            ),
            (
                AlertDescription::CertificateRequired,
                "tlsv13 alert certificate required",
            ),
            (
                AlertDescription::NoApplicationProtocol,
                "no application protocol",
            ),
            (AlertDescription::from(200), "alert number 200"),
        ] {
            let told = explain(&Error::AlertReceived(alert), &options());
            assert_eq!(told, format!("SSL error: {text}"));
        }
    }

    #[test]
    fn what_may_be_the_versions_fault_says_which_there_are() {
        let mut tls = options();
        tls.min_version = Some(TlsVersion::V1_1);
        tls.max_version = Some(TlsVersion::V1_2);
        let old = PeerIncompatible::ServerDoesNotSupportTls12Or13;
        let garbage = InvalidMessage::InvalidContentType;
        for (error, reason) in [
            (Error::PeerIncompatible(old), "unsupported protocol"),
            (Error::InvalidMessage(garbage), "wrong version number"),
        ] {
            let text = explain(&error, &tls);
            let first = format!(
                "SSL error: {reason}\nThis may indicate that the server does not support any SSL protocol version between TLSv1.2 and TLSv1.2.\n"
            );
            assert!(text.starts_with(&first), "{text}");
        }
    }
}
