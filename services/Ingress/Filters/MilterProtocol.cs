namespace MailPipeline.Ingress.Filters;

/// <summary>What is said to a milter, by its letter (libmilter, mfdef.h, version 6).</summary>
internal enum MilterCommand : byte
{
    Abort = (byte)'A',
    Body = (byte)'B',
    Connect = (byte)'C',
    Macros = (byte)'D',
    EndOfBody = (byte)'E',
    Hello = (byte)'H',
    Header = (byte)'L',
    Sender = (byte)'M',
    EndOfHeader = (byte)'N',
    Negotiate = (byte)'O',
    Quit = (byte)'Q',
    Recipient = (byte)'R',
    Data = (byte)'T',
}

/// <summary>What a milter answers, by its letter.</summary>
internal enum MilterReply : byte
{
    AddRecipient = (byte)'+',
    RemoveRecipient = (byte)'-',
    AddRecipientWithParameters = (byte)'2',
    Shutdown = (byte)'4',
    Accept = (byte)'a',
    ReplaceBody = (byte)'b',
    Continue = (byte)'c',
    Discard = (byte)'d',
    ChangeSender = (byte)'e',
    ConnectionFailed = (byte)'f',
    AddHeader = (byte)'h',
    InsertHeader = (byte)'i',
    ChangeHeader = (byte)'m',
    Negotiate = (byte)'O',
    Progress = (byte)'p',
    Quarantine = (byte)'q',
    Reject = (byte)'r',
    Skip = (byte)'s',
    TemporaryFailure = (byte)'t',
    ReplyCode = (byte)'y',
}

/// <summary>What a milter may do to a message (SMFIF_...).</summary>
[Flags]
internal enum MilterActions : uint
{
    None = 0,
    AddHeaders = 0x01,
    ReplaceBody = 0x02,
    AddRecipients = 0x04,
    RemoveRecipients = 0x08,
    ChangeHeaders = 0x10,
    Quarantine = 0x20,
    ChangeSender = 0x40,
    AddRecipientsWithParameters = 0x80,
}

/// <summary>What a milter does not want to hear (SMFIP_NO...), or does not answer (SMFIP_NR_...), and how it wants what it hears.</summary>
[Flags]
internal enum MilterSteps : uint
{
    None = 0,
    NoConnect = 0x01,
    NoHello = 0x02,
    NoSender = 0x04,
    NoRecipient = 0x08,
    NoBody = 0x10,
    NoHeaders = 0x20,
    NoEndOfHeader = 0x40,
    NoReplyToHeader = 0x80,
    NoUnknown = 0x100,
    NoData = 0x200,
    Skip = 0x400,
    RefusedRecipients = 0x800,
    NoReplyToConnect = 0x1000,
    NoReplyToHello = 0x2000,
    NoReplyToSender = 0x4000,
    NoReplyToRecipient = 0x8000,
    NoReplyToData = 0x1_0000,
    NoReplyToUnknown = 0x2_0000,
    NoReplyToEndOfHeader = 0x4_0000,
    NoReplyToBody = 0x8_0000,
    LeadingSpace = 0x10_0000,
}
