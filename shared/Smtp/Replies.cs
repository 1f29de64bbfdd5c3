namespace MailPipeline.Smtp;

/// <summary>
/// The replies our server gives, each with its number in its name (RFC 5321 §4.2.3, RFC 3463, RFC 5248). They are encoded
/// once. Public text names no host, path or other person's address.
/// </summary>
public static class Replies
{
    public static readonly SmtpReply C220ReadyForTls = new(220, "2.0.0", "Ready to start TLS");
    public static readonly SmtpReply C221Bye = new(221, "2.0.0", "Bye");
    public static readonly SmtpReply C235Authenticated = new(235, "2.7.0", "Authentication successful");
    public static readonly SmtpReply C250Ok = new(250, "2.0.0", "Ok");
    public static readonly SmtpReply C250SenderOk = new(250, "2.1.0", "Ok");
    public static readonly SmtpReply C250RecipientOk = new(250, "2.1.5", "Ok");
    public static readonly SmtpReply C252CannotVerify = new(252, "2.5.0", "Cannot verify the user; try to send mail");
    public static readonly SmtpReply C354StartInput = new(354, "End data with <CR><LF>.<CR><LF>");

    public static readonly SmtpReply C421ShuttingDown = new(421, "4.3.2", "Service shutting down, try again later");
    public static readonly SmtpReply C421TimedOut = new(421, "4.4.2", "Idle for too long, closing");
    public static readonly SmtpReply C421TooManyConnections = new(421, "4.7.0", "Too many connections, try again later");
    public static readonly SmtpReply C421TooManyErrors = new(421, "4.7.0", "Too many errors, closing");
    public static readonly SmtpReply C421TooManyCommands = new(421, "4.7.0", "Too many commands without mail, closing");
    public static readonly SmtpReply C421TooManyRecipients = new(421, "4.5.3", "Too many recipients, closing");
    public static readonly SmtpReply C421NotSmtp = new(421, "4.7.0", "This is a mail server, closing");
    public static readonly SmtpReply C421TooManyChunks = new(421, "4.7.0", "Too many small chunks, closing");
    public static readonly SmtpReply C421UnknownChunk = new(421, "4.5.2", "Cannot tell where the chunk ends, closing");
    public static readonly SmtpReply C421StorageUnavailable = new(421, "4.3.0", "Storage unavailable, try again later");
    public static readonly SmtpReply C450Unverified = new(450, "4.1.1", "Cannot find out now whether that recipient is there, try again later");
    public static readonly SmtpReply C451StorageUnavailable = new(451, "4.3.0", "Storage unavailable, try again later");
    public static readonly SmtpReply C451AuthenticationUnknown = new(451, "4.7.0", "Cannot find out now whether the message is from whom it says, try again later");
    public static readonly SmtpReply C451StorageSlow = new(451, "4.3.2", "Storage is slow, try again later");
    public static readonly SmtpReply C451TooMuchUnrouted = new(451, "4.3.2", "Too much mail waits to be routed, try again later");
    public static readonly SmtpReply C452MaildropFull = new(452, "4.2.2", "The mailbox is full, try again later");
    public static readonly SmtpReply C452QueueFull = new(452, "4.3.1", "The queue is full, try again later");
    public static readonly SmtpReply C452StorageFull = new(452, "4.3.1", "Insufficient storage, try again later");
    public static readonly SmtpReply C452TooManyRecipients = new(452, "4.5.3", "Too many recipients in one message");
    public static readonly SmtpReply C550LocalSender = new(550, "5.7.1", "Senders of this domain log in, on the submission port");
    public static readonly SmtpReply C458StorageUnavailable = new(458, "4.3.0", "Unable to queue messages, storage is unavailable");
    public static readonly SmtpReply C454AuthUnavailable = new(454, "4.7.0", "Temporary authentication failure");

    public static readonly SmtpReply C500AuthLineTooLong = new(500, "5.5.6", "Authentication exchange line is too long");
    public static readonly SmtpReply C500BadCommand = new(500, "5.5.2", "Command not recognized");
    public static readonly SmtpReply C500BareLineFeed = new(500, "5.5.2", "Lines must end in <CR><LF>");
    public static readonly SmtpReply C500ControlOctets = new(500, "5.5.2", "Control characters in the command line");
    public static readonly SmtpReply C500SayLhlo = new(500, "5.5.1", "LMTP is spoken here; greet with LHLO");
    public static readonly SmtpReply C500LineTooLong = new(500, "5.5.2", "Line too long");
    public static readonly SmtpReply C501BadArgument = new(501, "5.5.4", "Syntax error in parameters");
    public static readonly SmtpReply C501BadNotify = new(501, "5.5.4", "NOTIFY is NEVER alone, or some of SUCCESS, FAILURE and DELAY, each once");
    public static readonly SmtpReply C501BadOrcpt = new(501, "5.5.4", "ORCPT is a type, a semicolon and an address in xtext, all of it printable");
    public static readonly SmtpReply C501BadHoldFor = new(501, "5.5.4", "HOLDFOR is a number of seconds, 1 to 999999999");
    public static readonly SmtpReply C501BadHoldUntil = new(501, "5.5.4", "HOLDUNTIL is a time such as 2030-01-02T12:00:00Z");
    public static readonly SmtpReply C501BadPriority = new(501, "5.5.4", "MT-PRIORITY is a number from -9 to 9, and stands once");
    public static readonly SmtpReply C501BadBy = new(501, "5.5.4", "BY is a number of seconds, a semicolon and N, R, NT or RT, and stands once");
    public static readonly SmtpReply C501NoTimeLeft = new(501, "5.5.4", "BY with R needs a time above 0");
    public static readonly SmtpReply C501HeldBeyondBy = new(501, "5.5.4", "The message would be held until after the time of BY");
    public static readonly SmtpReply C501HeldTwice = new(501, "5.5.4", "HOLDFOR or HOLDUNTIL, and once");
    public static readonly SmtpReply C501OrcptTooLong = new(501, "5.5.4", "ORCPT is longer than 500 characters");
    public static readonly SmtpReply C501BadReturn = new(501, "5.5.4", "RET is FULL or HDRS");
    public static readonly SmtpReply C501BadSubmitter = new(501, "5.5.4", "AUTH is <> or a mailbox, in xtext, and stands once");
    public static readonly SmtpReply C501BadEnvelopeId = new(501, "5.5.4", "ENVID is up to 100 characters of xtext, all of it printable");
    public static readonly SmtpReply C501BadAuth = new(501, "5.5.2", "Cannot decode the response");
    public static readonly SmtpReply C501AuthCancelled = new(501, "5.7.0", "Authentication cancelled");
    public static readonly SmtpReply C501BadSender = new(501, "5.1.7", "Bad sender address syntax");
    public static readonly SmtpReply C501BadRecipient = new(501, "5.1.3", "Bad recipient address syntax");
    public static readonly SmtpReply C501NoArgument = new(501, "5.5.4", "No parameters allowed");
    public static readonly SmtpReply C502NotImplemented = new(502, "5.5.1", "Command not implemented");
    public static readonly SmtpReply C503AlreadyAuthenticated = new(503, "5.5.1", "Already authenticated");
    public static readonly SmtpReply C503AlreadyTls = new(503, "5.5.1", "TLS is already active");
    public static readonly SmtpReply C503ChunkFailed = new(503, "5.5.1", "An earlier chunk of the message was refused");
    public static readonly SmtpReply C503GreetFirst = new(503, "5.5.1", "Send EHLO or HELO first");
    public static readonly SmtpReply C503InChunks = new(503, "5.5.1", "The message comes in chunks; go on with BDAT, or say RSET");
    public static readonly SmtpReply C503LhloFirst = new(503, "5.5.1", "Send LHLO first");
    public static readonly SmtpReply C503NoRecipients = new(503, "5.5.1", "No valid recipients");
    public static readonly SmtpReply C503MailFirst = new(503, "5.5.1", "Send MAIL first");
    public static readonly SmtpReply C503NestedMail = new(503, "5.5.1", "Sender already given");
    public static readonly SmtpReply C503InTransaction = new(503, "5.5.1", "Not during a mail transaction");
    public static readonly SmtpReply C503TurnedAway = new(503, "5.5.1", "No mail is taken from you here; say QUIT");
    public static readonly SmtpReply C504UnknownMechanism = new(504, "5.5.4", "Unknown authentication mechanism");
    public static readonly SmtpReply C530AuthRequired = new(530, "5.7.0", "Authentication required");
    public static readonly SmtpReply C530TlsRequired = new(530, "5.7.0", "Issue STARTTLS first");
    public static readonly SmtpReply C535BadCredentials = new(535, "5.7.8", "Authentication failed");
    public static readonly SmtpReply C538EncryptionRequired = new(538, "5.7.11", "Encryption required for authentication");
    public static readonly SmtpReply C550NotAProxy = new(550, "5.7.0", "You speak for nobody else here");
    public static readonly SmtpReply C550UnknownLogin = new(550, "5.7.1", "That user has no account here");
    public static readonly SmtpReply C550ForgedClientName = new(550, "5.7.1", "You greet with a name that is ours");
    public static readonly SmtpReply C550UnqualifiedClientName = new(550, "5.7.1", "Greet with your full domain name or an address literal");
    public static readonly SmtpReply C550NoSuchUser = new(550, "5.1.1", "No such user here");
    public static readonly SmtpReply C550NextHopRefuses = new(550, "5.1.1", "The host that has the mailboxes of that domain refuses this recipient");
    public static readonly SmtpReply C550AliasLoop = new(550, "5.4.6", "The address leads back to itself");
    public static readonly SmtpReply C550AliasTooWide = new(550, "5.2.4", "The address leads to too many recipients");
    public static readonly SmtpReply C550RelayingDenied = new(550, "5.7.1", "Relaying denied");
    public static readonly SmtpReply C550BareCrLf = new(550, "5.6.0", "Message contains bare <CR> or <LF>");
    public static readonly SmtpReply C550ContentRefused = new(550, "5.7.1", "The message is not taken here");
    public static readonly SmtpReply C550UnreadableFrom = new(550, "5.7.1", "The From field must name the author's address, and those of no more than five domains");
    public static readonly SmtpReply C550Nul = new(550, "5.6.0", "Message contains NUL");
    public static readonly SmtpReply C552HeaderTooLong = new(552, "5.3.4", "The header of the message is longer than 64 KiB");
    public static readonly SmtpReply C552TooLarge = new(552, "5.3.4", "Message size exceeds the limit");
    public static readonly SmtpReply C553NeedsUtf8 = new(553, "5.6.7", "Address needs SMTPUTF8");
    public static readonly SmtpReply C553SenderNotOwned = new(553, "5.7.1", "Sender address not owned by the user");
    public static readonly SmtpReply C554LoopDetected = new(554, "5.4.6", "Too many hops, mail loop");
    public static readonly SmtpReply C554ClientRefused = new(554, "5.7.1", "No mail is taken from your address here");
    public static readonly SmtpReply C554NoRecipients = new(554, "5.5.1", "No valid recipients");
    public static readonly SmtpReply C555BadParameter = new(555, "5.5.4", "Parameter not recognized");
}
