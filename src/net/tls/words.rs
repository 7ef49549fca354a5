//! Lists in one text: of protocols, of pins.

/// The longest name of a protocol.
const LONGEST: usize = 255;

/// Names of protocols with commas between them, the most wanted first: "h2,http/1.1".
pub fn protocols(text: &str) -> Result<Vec<Vec<u8>>, String> {
    text.split(',').map(protocol).collect()
}

fn protocol(name: &str) -> Result<Vec<u8>, String> {
    match name.len() {
        1..=LONGEST => Ok(name.as_bytes().to_vec()),
        0 => Err("a protocol of ALPN has a name".to_owned()),
        length => Err(format!("a protocol of ALPN has a name of {length} bytes, {LONGEST} is the most")),
    }
}

/// SHA-256 sums with commas between them: 64 hexadecimal digits, with or without colons, or sha256/ and base64.
pub fn pins(text: &str) -> Result<Vec<[u8; 32]>, String> {
    text.split(',')
        .map(|pin| sum(pin).ok_or_else(|| format!("{pin:?} is no SHA-256, in hexadecimal or as sha256/BASE64")))
        .collect()
}

fn sum(pin: &str) -> Option<[u8; 32]> {
    let bytes = match pin.strip_prefix("sha256/") {
        // curl writes two of them.
        Some(base64) => of_base64(base64.strip_prefix('/').unwrap_or(base64))?,
        None => of_hexadecimal(pin)?,
    };
    bytes.try_into().ok()
}

fn of_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits =
        text.chars().filter(|digit| *digit != ':').map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>()?;
    let pairs = digits.chunks(2).map(|pair| Some((pair[0] * 16 + pair.get(1)?) as u8));
    pairs.collect()
}

fn of_base64(text: &str) -> Option<Vec<u8>> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes() {
        (bits, count) = (bits << 6 | u32::from(value(letter)?), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_sum_in_either_form() {
        let hexadecimal = "00:01:02030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
        let base64 = "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let sum = std::array::from_fn(|place| place as u8);
        assert_eq!(pins(&format!("{hexadecimal},{base64}")), Ok(vec![sum, sum]));
        for bad in ["", "00", "sha256/AAEC", "sha256/%", &hexadecimal[1..], &format!("{hexadecimal}00")] {
            assert!(pins(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn protocols_have_names() {
        assert_eq!(protocols("h2,http/1.1"), Ok(vec![b"h2".to_vec(), b"http/1.1".to_vec()]));
        assert!(protocols("").is_err() && protocols("h2,").is_err() && protocols(&"x".repeat(256)).is_err());
    }
}
