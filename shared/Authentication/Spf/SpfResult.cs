namespace MailPipeline.Authentication.Spf;

/// <summary>What SPF says of a client and a name that it uses (RFC 7208 §2.6).</summary>
/// <param name="Status">None, neutral, pass, fail, softfail, temperror or permerror.</param>
/// <param name="Domain">The name that was asked about.</param>
public sealed record SpfResult(AuthenticationStatus Status, SpfIdentity Identity, string Domain)
{
    /// <summary>The term of the record that decided, as its domain wrote it; empty where none did.</summary>
    public string Mechanism { get; init; } = "";

    /// <summary>In words, for the operator: why it is none or an error; empty otherwise.</summary>
    public string Reason { get; init; } = "";

    /// <summary>Of a fail: what its domain has to say to who sent it (RFC 7208 §6.2), in printable ASCII; empty where it says nothing.</summary>
    public string Explanation { get; init; } = "";

    /// <summary>Which bound ended it.</summary>
    public SpfLimit Limit { get; init; }

    /// <summary>How many terms asked DNS (RFC 7208 §4.6.4).</summary>
    public int LookUps { get; init; }
}

/// <summary>The bounds on what a question costs.</summary>
public enum SpfLimit
{
    None,

    /// <summary>Terms that ask DNS (RFC 7208 §4.6.4).</summary>
    LookUps,

    /// <summary>Such of them as found nothing (RFC 7208 §4.6.4).</summary>
    VoidLookUps,

    /// <summary>Hosts of one mx (RFC 7208 §4.6.4).</summary>
    MxHosts,

    /// <summary>Octets of a record.</summary>
    RecordSize,

    /// <summary>All of it (RFC 7208 §4.6.4).</summary>
    Time,
}

/// <summary>One step on the way to a result, for who wants to see how it came.</summary>
/// <param name="Depth">0 for the domain that was asked about; more behind include and redirect.</param>
/// <param name="Domain">Whose record it is about.</param>
/// <param name="Text">What was found, in words; what strangers published stands in it as they wrote it.</param>
public sealed record SpfStep(int Depth, string Domain, string Text);

/// <summary>The numbers of RFC 7208 §4.6.4, and those that it leaves open.</summary>
public sealed record SpfLimits
{
    /// <summary>What none of ours is said to be beyond: nobody's record comes near it, and a datagram holds a thirteenth of it.</summary>
    public const int MaxRecordBytes = 16 * 1024;

    /// <summary>Of an explanation, as it stands in a reply of one line (RFC 5321 §4.5.3.1.5).</summary>
    public const int MaxExplanationBytes = 400;

    public static SpfLimits Default { get; } = new();

    public int LookUps { get; init; } = 10;

    public int VoidLookUps { get; init; } = 2;

    public int MxHosts { get; init; } = 10;

    public int PtrNames { get; init; } = 10;
}
