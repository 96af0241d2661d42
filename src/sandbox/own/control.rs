//! The socket between the harness and a zygote: frames, with descriptors where needed.

use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Most descriptors that go with one frame.
const MOST: usize = 8;

/// Longest frame taken from a zygote, bytes. Its reports are short.
const LONGEST: usize = 1 << 20;

/// The harness's end.
pub(super) struct Control(UnixStream);

/// Room for the one control message that carries descriptors, aligned as the kernel wants it.
#[repr(align(8))]
struct Room([u8; 128]);

impl Control {
    pub(super) fn new(stream: UnixStream) -> Control {
        Control(stream)
    }

    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Sends one frame; the descriptors go with its first bytes.
    pub(super) fn send(&mut self, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let head = length.to_le_bytes();
        if descriptors.is_empty() {
            self.0.write_all(&head)?;
        } else {
            self.send_with(&head, descriptors)?;
        }
        self.0.write_all(frame)
    }

    /// The next frame, waited for at most this long.
    pub(super) fn receive<T: DeserializeOwned>(&mut self, patience: Duration) -> io::Result<T> {
        self.0.set_read_timeout(Some(patience))?;
        let mut head = [0; 4];
        self.0.read_exact(&mut head)?;
        let length = u32::from_le_bytes(head) as usize;
        if length > LONGEST {
            return Err(io::Error::other("a frame of the zygote is too long"));
        }
        let mut frame = vec![0; length];
        self.0.read_exact(&mut frame)?;
        serde_json::from_slice(&frame).map_err(io::Error::other)
    }

    fn send_with(&self, head: &[u8; 4], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if descriptors.len() > MOST {
            return Err(io::Error::other("too many descriptors for one frame"));
        }
        let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let size = size_of_val(numbers.as_slice()) as libc::c_uint;
        let mut room = Room([0; 128]);
        let mut part = libc::iovec { iov_base: head.as_ptr().cast_mut().cast(), iov_len: head.len() };
        // SAFETY: `CMSG_SPACE` of eight descriptors is below the room's 128 bytes, so the one header and its data lie in
        // it; all pointers live through the call, and `sendmsg` writes to none of them.
        let sent = unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &mut part;
            message.msg_iovlen = 1;
            message.msg_control = room.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as _;
            std::ptr::copy_nonoverlapping(numbers.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), size as usize);
            libc::sendmsg(self.0.as_raw_fd(), &message, libc::MSG_NOSIGNAL)
        };
        match usize::try_from(sent) {
            Ok(count) => (&self.0).write_all(head.get(count..).unwrap_or_default()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}
