//! The bytes of a snapshot: numbers, arrays and texts in frames, each of which is checked before
//! anything in it is believed.
//!
//! A frame is its length, so many bytes, and the CRC-32 of all that came before in the file, other
//! frames included: so a byte that is another one, a frame that is missing and one that is another
//! file's are noticed where they are. An empty frame is the end. Whoever reads has at most one frame
//! in memory, and never makes room for more than the file has left.

use std::io::{self, Read, Write};

use crc32fast::Hasher;

use super::SnapshotError;

/// Bytes of a frame; one more number may stand in it.
const FRAME: usize = 256 * 1024;

/// Bytes of the longest number.
const LONGEST: usize = 8;

/// A number as it stands in the file, in little-endian order.
pub(crate) trait Plain: Copy {
    /// How many bytes it has.
    const BYTES: usize;

    fn put(self, out: &mut Vec<u8>);

    /// Appends the numbers that the bytes are; what is too short for one is left out.
    fn take_all(bytes: &[u8], out: &mut Vec<Self>);
}

macro_rules! plain {
    ($($number:ty),*) => {$(
        impl Plain for $number {
            const BYTES: usize = size_of::<Self>();

            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take_all(bytes: &[u8], out: &mut Vec<Self>) {
                let (numbers, _) = bytes.as_chunks();
                out.extend(numbers.iter().map(|bytes| Self::from_le_bytes(*bytes)));
            }
        }
    )*};
}

plain!(u8, u16, u32, u64, i64, f64);

/// Writes frames.
pub(crate) struct Writer<'a> {
    out: &'a mut dyn Write,
    frame: Vec<u8>,
    check: Hasher,
}

impl<'a> Writer<'a> {
    /// Begins a file with what says of which kind it is.
    pub(crate) fn begin(out: &'a mut dyn Write, magic: &[u8]) -> io::Result<Self> {
        let mut check = Hasher::new();
        check.update(magic);
        out.write_all(magic)?;
        Ok(Self { out, frame: Vec::with_capacity(FRAME + LONGEST), check })
    }

    pub(crate) fn number<T: Plain>(&mut self, number: T) -> io::Result<()> {
        number.put(&mut self.frame);
        if self.frame.len() >= FRAME { self.send() } else { Ok(()) }
    }

    /// How many of something there are.
    pub(crate) fn count(&mut self, count: usize) -> io::Result<()> {
        self.number(count as u64)
    }

    pub(crate) fn array<T: Plain>(&mut self, numbers: &[T]) -> io::Result<()> {
        self.numbers(numbers.len(), numbers.iter().copied())
    }

    /// An array whose numbers come one by one; there must be `count` of them.
    pub(crate) fn numbers<T: Plain>(
        &mut self,
        count: usize,
        numbers: impl Iterator<Item = T>,
    ) -> io::Result<()> {
        self.count(count)?;
        for number in numbers {
            self.number(number)?;
        }
        Ok(())
    }

    /// Bytes whose number is known when they are read.
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = FRAME.saturating_sub(self.frame.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.frame.extend_from_slice(now);
            if self.frame.len() >= FRAME {
                self.send()?;
            }
            bytes = later;
        }
        Ok(())
    }

    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.count(text.len())?;
        self.bytes(text.as_bytes())
    }

    fn send(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.frame.len()).map_err(io::Error::other)?.to_le_bytes();
        self.check.update(&length);
        self.check.update(&self.frame);
        self.out.write_all(&length)?;
        self.out.write_all(&self.frame)?;
        self.out.write_all(&self.check.clone().finalize().to_le_bytes())?;
        self.frame.clear();
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            self.send()?;
        }
        self.send()
    }
}

/// Reads frames.
pub(crate) struct Reader<'a> {
    input: &'a mut dyn Read,
    /// Bytes of the file after the frame.
    left: u64,
    frame: Vec<u8>,
    /// How far the frame was read.
    at: usize,
    check: Hasher,
}

impl<'a> Reader<'a> {
    /// Begins to read a file of so many bytes, which must begin with `magic`.
    pub(crate) fn begin(
        input: &'a mut dyn Read,
        bytes: u64,
        magic: &[u8],
    ) -> Result<Self, SnapshotError> {
        let mut reader =
            Self { input, left: bytes, frame: Vec::new(), at: 0, check: Hasher::new() };
        let mut found = vec![0; magic.len()];
        reader.input_exactly(&mut found)?;
        if found != magic {
            return Err(SnapshotError::OtherVersion);
        }
        reader.check.update(magic);
        Ok(reader)
    }

    fn input_exactly(&mut self, bytes: &mut [u8]) -> Result<(), SnapshotError> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or(SnapshotError::Damaged("it was cut off"))?;
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SnapshotError::Damaged("it was cut off"),
            _ => SnapshotError::Io(error),
        })
    }

    /// Goes on to the next frame; `false` at the end.
    fn next_frame(&mut self) -> Result<bool, SnapshotError> {
        let mut length = [0; 4];
        self.input_exactly(&mut length)?;
        self.check.update(&length);
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes > FRAME + LONGEST || bytes as u64 > self.left {
            return Err(SnapshotError::Damaged("the length of a frame"));
        }
        let mut frame = std::mem::take(&mut self.frame);
        frame.resize(bytes, 0);
        self.input_exactly(&mut frame)?;
        self.check.update(&frame);
        let mut check = [0; 4];
        self.input_exactly(&mut check)?;
        if u32::from_le_bytes(check) != self.check.clone().finalize() {
            return Err(SnapshotError::Damaged("a checksum"));
        }
        self.frame = frame;
        self.at = 0;
        Ok(bytes > 0)
    }

    /// What is left of the frame; the next one where nothing is.
    fn rest(&mut self) -> Result<&[u8], SnapshotError> {
        if self.at >= self.frame.len() && !self.next_frame()? {
            return Err(SnapshotError::Damaged("it ends too early"));
        }
        Ok(self.frame.get(self.at..).unwrap_or_default())
    }

    fn fill(&mut self, mut bytes: &mut [u8]) -> Result<(), SnapshotError> {
        while !bytes.is_empty() {
            let rest = self.rest()?;
            let now = rest.len().min(bytes.len());
            let (done, later) = bytes.split_at_mut(now);
            done.copy_from_slice(rest.get(..now).unwrap_or_default());
            self.at += now;
            bytes = later;
        }
        Ok(())
    }

    pub(crate) fn number<T: Plain>(&mut self) -> Result<T, SnapshotError> {
        let mut buffer = [0; LONGEST];
        let bytes = buffer.get_mut(..T::BYTES).unwrap_or_default();
        self.fill(bytes)?;
        let mut number = Vec::with_capacity(1);
        T::take_all(bytes, &mut number);
        number.pop().ok_or(SnapshotError::Damaged("a number"))
    }

    /// How many of something there are that take so many bytes each, at least.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, SnapshotError> {
        let count: u64 = self.number()?;
        let left = self.left + (self.frame.len() - self.at) as u64;
        if count.saturating_mul(each as u64) > left {
            return Err(SnapshotError::Damaged("a number of things"));
        }
        usize::try_from(count).map_err(|_| SnapshotError::Damaged("a number of things"))
    }

    pub(crate) fn array<T: Plain>(&mut self) -> Result<Vec<T>, SnapshotError> {
        let count = self.count(T::BYTES)?;
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let rest = self.rest()?;
            let now = (rest.len() / T::BYTES).min(count - numbers.len());
            if now == 0 {
                // It stands in two frames.
                let number = self.number()?;
                numbers.push(number);
                continue;
            }
            T::take_all(rest.get(..now * T::BYTES).unwrap_or_default(), &mut numbers);
            self.at += now * T::BYTES;
        }
        Ok(numbers)
    }

    /// An array with one number for each of so many things.
    pub(crate) fn array_of<T: Plain>(&mut self, count: usize) -> Result<Vec<T>, SnapshotError> {
        let numbers = self.array()?;
        if numbers.len() != count {
            return Err(SnapshotError::Damaged("the length of a column"));
        }
        Ok(numbers)
    }

    /// So many bytes, which [`Self::count`] found to be there.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<String, SnapshotError> {
        let count = self.count(1)?;
        let bytes = self.bytes(count)?;
        String::from_utf8(bytes).map_err(|_| SnapshotError::Damaged("a text"))
    }

    /// Makes sure that this is the end.
    pub(crate) fn finish(mut self) -> Result<(), SnapshotError> {
        if self.at < self.frame.len() || self.next_frame()? || self.left > 0 {
            return Err(SnapshotError::Damaged("there is more than there should be"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAGIC: &[u8] = b"test";

    fn written(bytes: &[Vec<u8>], numbers: &[u16]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, MAGIC).unwrap();
        for bytes in bytes {
            writer.array(bytes).unwrap();
            writer.array(numbers).unwrap();
            writer.number(1.5).unwrap();
        }
        writer.text("王").unwrap();
        writer.finish().unwrap();
        out
    }

    fn read(mut file: &[u8], bytes: &[Vec<u8>], numbers: &[u16]) -> Result<(), SnapshotError> {
        let length = file.len() as u64;
        let mut reader = Reader::begin(&mut file, length, MAGIC)?;
        for bytes in bytes {
            assert_eq!(reader.array::<u8>()?, *bytes);
            assert_eq!(reader.array_of::<u16>(numbers.len())?, numbers);
            assert_eq!(reader.number::<f64>()?.to_bits(), 1.5_f64.to_bits());
        }
        assert_eq!(reader.text()?, "王");
        reader.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

        /// Numbers stand across the ends of frames; nothing that is wrong is read.
        #[test]
        fn what_is_read_is_what_was_written(
            lengths in prop::collection::vec(0..FRAME * 2, 0..4),
            numbers in prop::collection::vec(any::<u16>(), 0..70_000),
            at in any::<prop::sample::Index>(), bit in 0..8_u8,
        ) {
            let bytes: Vec<Vec<u8>> = lengths.iter().map(|length| vec![7; *length]).collect();
            let mut file = written(&bytes, &numbers);
            prop_assert!(read(&file, &bytes, &numbers).is_ok());
            let at = at.index(file.len());
            prop_assert!(read(&file[..at], &bytes, &numbers).is_err());
            file[at] ^= 1 << bit;
            prop_assert!(read(&file, &bytes, &numbers).is_err());
            file[at] ^= 1 << bit;
            file.push(0);
            prop_assert!(read(&file, &bytes, &numbers).is_err());
        }
    }

    #[test]
    fn no_room_is_made_for_more_than_there_is() {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, MAGIC).unwrap();
        writer.count(usize::MAX / 16).unwrap();
        writer.finish().unwrap();
        let mut file = out.as_slice();
        let mut reader = Reader::begin(&mut file, out.len() as u64, MAGIC).unwrap();
        assert!(matches!(reader.array::<u64>(), Err(SnapshotError::Damaged(_))));
    }
}
