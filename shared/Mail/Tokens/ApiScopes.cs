namespace MailPipeline.Mail;

/// <summary>What a token lets its bearer do. The numbers are stored; they never change meaning.</summary>
[Flags]
public enum ApiScopes
{
    None = 0,

    /// <summary>Sees the directory, messages' ways, the queue and what operators did.</summary>
    Read = 1,

    /// <summary>Changes what becomes of mail on its way: holds, releases, removes, flushes, pauses, bans.</summary>
    Operate = 2,

    /// <summary>Changes the directory and tokens.</summary>
    Administer = 4,

    /// <summary>Hands in messages.</summary>
    Send = 8,
}
