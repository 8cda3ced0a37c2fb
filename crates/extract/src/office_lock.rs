//! Office documents that open with a password: [MS-OFFCRYPTO], agile encryption, as Office writes it
//! since 2010.

use std::io::{Cursor, Read as _};

use aes::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::NoPadding};
use aes::{Aes128, Aes192, Aes256};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::ReadError;
use crate::xml::{damaged, parse};

/// More rounds than anybody's program makes would only cost time.
const MAX_ROUNDS: u32 = 10_000_000;

/// So many bytes are encrypted on their own (agile).
const SEGMENT: usize = 4096;

/// What the keys of the parts of agile encryption are made for.
const VERIFIER_INPUT: [u8; 8] = [0xfe, 0xa7, 0xd2, 0x76, 0x3b, 0x4b, 0x9e, 0x79];
const VERIFIER_VALUE: [u8; 8] = [0xd7, 0xaa, 0x0f, 0x6d, 0x30, 0x61, 0x34, 0x4e];
const KEY_VALUE: [u8; 8] = [0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6];

/// The package that an encrypted one holds.
///
/// # Errors
///
/// [`ReadError::PasswordNeeded`] where the password is another one, [`ReadError::Damaged`] where
/// the file is, or is encrypted in another way.
pub(crate) fn decrypt(bytes: Vec<u8>, password: &str) -> Result<Vec<u8>, ReadError> {
    let mut file = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(damaged)?;
    let mut stream = |name: &str| {
        let mut bytes = Vec::new();
        file.open_stream(name).and_then(|mut s| s.read_to_end(&mut bytes)).map_err(damaged)?;
        Ok::<_, ReadError>(bytes)
    };
    let (info, package) = (stream("EncryptionInfo")?, stream("EncryptedPackage")?);
    let size: [u8; 8] = part(&package, 0, 8)?.try_into().map_err(damaged)?;
    let package = &package[8..];
    let password: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut plain = match (info.first_chunk(), info.get(8..)) {
        (Some([4, 0, 4, 0]), Some(xml)) => agile(xml, package, &password)?,
        _ => return Err(unknown()),
    };
    plain.truncate(usize::try_from(u64::from_le_bytes(size)).unwrap_or(usize::MAX));
    Ok(plain)
}

fn unknown() -> ReadError {
    ReadError::Damaged("its encryption is unknown or broken".into())
}

fn part(bytes: &[u8], start: usize, length: usize) -> Result<&[u8], ReadError> {
    let end = start.checked_add(length).ok_or_else(unknown)?;
    bytes.get(start..end).ok_or_else(unknown)
}

fn agile(xml: &[u8], package: &[u8], password: &[u8]) -> Result<Vec<u8>, ReadError> {
    let xml = std::str::from_utf8(xml).map_err(damaged)?;
    let tree = parse(xml)?;
    let element = |name: &str| {
        tree.descendants().find(|node| node.tag_name().name() == name).ok_or_else(unknown)
    };
    let (data, key) = (element("keyData")?, element("encryptedKey")?);
    let text = |node: roxmltree::Node<'_, '_>, name: &str| {
        node.attribute(name).map(str::to_owned).ok_or_else(unknown)
    };
    let number = |node, name: &str| text(node, name)?.parse::<u32>().map_err(damaged);
    let bytes = |node, name: &str| BASE64_STANDARD.decode(text(node, name)?).map_err(damaged);
    for node in [data, key] {
        let mode = (text(node, "cipherAlgorithm")?, text(node, "cipherChaining")?);
        if mode != ("AES".to_owned(), "ChainingModeCBC".to_owned()) {
            return Err(unknown());
        }
    }
    let hash = Hash::named(&text(key, "hashAlgorithm")?)?;
    let (salt, key_bytes) = (bytes(key, "saltValue")?, number(key, "keyBits")? as usize / 8);
    let rounds = number(key, "spinCount")?;
    if rounds > MAX_ROUNDS {
        return Err(unknown());
    }
    let stretched = stretch(hash, &salt, password, rounds);
    let opened = |name: &str, purpose: &[u8]| {
        let part_key = fitted(hash.of(&[&stretched, purpose]), key_bytes);
        cbc(&part_key, &fitted(salt.clone(), 16), bytes(key, name)?)
    };
    let input = opened("encryptedVerifierHashInput", &VERIFIER_INPUT)?;
    let value = opened("encryptedVerifierHashValue", &VERIFIER_VALUE)?;
    if !value.starts_with(&hash.of(&[&input[..input.len().min(salt.len())]])) {
        return Err(ReadError::PasswordNeeded);
    }
    let mut package_key = opened("encryptedKeyValue", &KEY_VALUE)?;
    package_key.truncate(number(data, "keyBits")? as usize / 8);
    let hash = Hash::named(&text(data, "hashAlgorithm")?)?;
    let salt = bytes(data, "saltValue")?;
    let mut plain = Vec::with_capacity(package.len());
    for (index, segment) in (0u32..).zip(package.chunks(SEGMENT)) {
        let vector = fitted(hash.of(&[&salt, &index.to_le_bytes()]), 16);
        plain.extend(cbc(&package_key, &vector, segment.to_vec())?);
    }
    Ok(plain)
}

#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn named(name: &str) -> Result<Self, ReadError> {
        Ok(match name {
            "SHA1" | "SHA-1" => Self::Sha1,
            "SHA256" | "SHA-256" => Self::Sha256,
            "SHA384" | "SHA-384" => Self::Sha384,
            "SHA512" | "SHA-512" => Self::Sha512,
            _ => return Err(unknown()),
        })
    }

    fn of(self, parts: &[&[u8]]) -> Vec<u8> {
        fn hashed<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut hasher = D::new();
            parts.iter().for_each(|part| hasher.update(part));
            hasher.finalize().to_vec()
        }
        match self {
            Self::Sha1 => hashed::<Sha1>(parts),
            Self::Sha256 => hashed::<Sha256>(parts),
            Self::Sha384 => hashed::<Sha384>(parts),
            Self::Sha512 => hashed::<Sha512>(parts),
        }
    }
}

/// The password's hash, which takes many rounds so that trying many takes long.
fn stretch(hash: Hash, salt: &[u8], password: &[u8], rounds: u32) -> Vec<u8> {
    let first = hash.of(&[salt, password]);
    (0..rounds).fold(first, |last, round| hash.of(&[&round.to_le_bytes(), &last]))
}

/// Cut, or filled up, to this length.
fn fitted(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes.resize(length, 0x36);
    bytes
}

fn cbc(key: &[u8], vector: &[u8], mut bytes: Vec<u8>) -> Result<Vec<u8>, ReadError> {
    fn opened<D: KeyIvInit + BlockModeDecrypt>(
        key: &[u8],
        vector: &[u8],
        bytes: &mut [u8],
    ) -> Result<(), ReadError> {
        let chain = D::new_from_slices(key, vector).map_err(|_| unknown())?;
        chain.decrypt_padded::<NoPadding>(bytes).map(|_| ()).map_err(|_| unknown())
    }
    match key.len() {
        16 => opened::<cbc::Decryptor<Aes128>>(key, vector, &mut bytes)?,
        24 => opened::<cbc::Decryptor<Aes192>>(key, vector, &mut bytes)?,
        32 => opened::<cbc::Decryptor<Aes256>>(key, vector, &mut bytes)?,
        _ => return Err(unknown()),
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKED: &[u8] = include_bytes!("../tests/data/locked.docx");

    #[test]
    fn a_document_opens_with_its_password_only() {
        for wrong in ["", "Secret", "secret "] {
            let opened = decrypt(LOCKED.to_vec(), wrong);
            assert!(matches!(opened, Err(ReadError::PasswordNeeded)), "{wrong:?}");
        }
        let opened = decrypt(LOCKED.to_vec(), "secret");
        assert!(opened.is_ok_and(|plain| plain.starts_with(b"PK")));
    }

    #[test]
    fn a_damaged_one_is_an_error() {
        for end in (0..LOCKED.len()).step_by(512) {
            assert!(decrypt(LOCKED[..end].to_vec(), "secret").is_err(), "{end}");
        }
    }
}
