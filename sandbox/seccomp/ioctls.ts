/**
 * The requests of ioctl(2) that have a rule. An action's descriptors are files, directories, pipes, sockets, perhaps a
 * terminal, and the five harmless devices: what is asked of them is a short list.
 *
 * @module
 */

/** Requests that are made. */
export const IOCTLS_ALLOWED = {
  // Terminals: whether it is one, its size, modes, sessions and jobs; pseudo terminals of the action's own.
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TCSETSW: 0x5403,
  TCSETSF: 0x5404,
  TCGETA: 0x5405,
  TCSETA: 0x5406,
  TCSETAW: 0x5407,
  TCSETAF: 0x5408,
  TCSBRK: 0x5409,
  TCXONC: 0x540a,
  TCFLSH: 0x540b,
  TIOCEXCL: 0x540c,
  TIOCNXCL: 0x540d,
  TIOCSCTTY: 0x540e,
  TIOCGPGRP: 0x540f,
  TIOCSPGRP: 0x5410,
  TIOCOUTQ: 0x5411,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  FIONREAD: 0x541b,
  TIOCPKT: 0x5420,
  FIONBIO: 0x5421,
  TIOCNOTTY: 0x5422,
  TIOCGETD: 0x5424,
  TCSBRKP: 0x5425,
  TIOCGSID: 0x5429,
  TCGETS2: 0x802c542a,
  TCSETS2: 0x402c542b,
  TCSETSW2: 0x402c542c,
  TCSETSF2: 0x402c542d,
  TIOCGPTN: 0x80045430,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
  // Descriptors of any kind.
  FIONCLEX: 0x5450,
  FIOCLEX: 0x5451,
  FIOASYNC: 0x5452,
  FIOQSIZE: 0x5460,
  // Files: clones, where their bytes and holes are, their flags, the file system's block size.
  FIGETBSZ: 0x2,
  FICLONE: 0x40049409,
  FICLONERANGE: 0x4020940d,
  FIDEDUPERANGE: 0xc0189436,
  FS_IOC_FIEMAP: 0xc020660b,
  FS_IOC_GETFLAGS: 0x80086601,
  FS_IOC_GETVERSION: 0x80087601,
  FS_IOC_FSGETXATTR: 0x801c581f,
  // Sockets: their owner for signals, urgent data, time stamps.
  FIOSETOWN: 0x8901,
  SIOCSPGRP: 0x8902,
  FIOGETOWN: 0x8903,
  SIOCGPGRP: 0x8904,
  SIOCATMARK: 0x8905,
  SIOCGSTAMP: 0x8906,
  // Questions about the network's devices.
  SIOCGIFNAME: 0x8910,
  SIOCGIFCONF: 0x8912,
  SIOCGIFFLAGS: 0x8913,
  SIOCGIFADDR: 0x8915,
  SIOCGIFDSTADDR: 0x8917,
  SIOCGIFBRDADDR: 0x8919,
  SIOCGIFNETMASK: 0x891b,
  SIOCGIFMETRIC: 0x891d,
  SIOCGIFMTU: 0x8921,
  SIOCGIFHWADDR: 0x8927,
  SIOCGIFINDEX: 0x8933,
  SIOCGIFTXQLEN: 0x8942,
  // The pool of /dev/random: how much there is.
  RNDGETENTCNT: 0x80045200,
} as const;

/** Requests that are refused as forbidden, not as unknown. */
export const IOCTLS_REFUSED = {
  TIOCSTI: 0x5412,
  TIOCLINUX: 0x541c,
  TIOCCONS: 0x541d,
  TIOCSETD: 0x5423,
  TIOCVHANGUP: 0x5437,
  FS_IOC_SETFLAGS: 0x40086602,
  FS_IOC_SETVERSION: 0x40087602,
  FS_IOC_FSSETXATTR: 0x401c5820,
  FS_IOC_SET_ENCRYPTION_POLICY: 0x800c6613,
  FS_IOC_ENABLE_VERITY: 0x40806685,
  FIBMAP: 0x1,
  FIFREEZE: 0xc0045877,
  FITHAW: 0xc0045878,
  FITRIM: 0xc0185879,
} as const;
