// UTF-8 as RFC 3629 §4 has it: no over-long forms, no surrogates, nothing above U+10FFFF.

/** True when the `bytes` bytes at `at` are well-formed, so that decoding and encoding gives the same bytes. */
export function isUtf8(at: usize, bytes: u32): bool {
  const end = at + bytes;
  while (at < end) {
    const lead: u32 = load<u8>(at++);
    if (lead < 0x80) continue;
    let more: u32 = 0;
    // The first continuation byte is the one that rules out over-long forms, surrogates and too large values.
    let low: u32 = 0x80;
    let high: u32 = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) more = 1;
    else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead == 0xe0) low = 0xa0;
      if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead == 0xf0) low = 0x90;
      if (lead == 0xf4) high = 0x8f;
    } else return false;
    if (end - at < more) return false;
    const second: u32 = load<u8>(at);
    if (second < low || second > high) return false;
    for (let i: usize = 1; i < more; i++) {
      if ((load<u8>(at + i) & 0xc0) != 0x80) return false;
    }
    at += more;
  }
  return true;
}
