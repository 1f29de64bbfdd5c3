namespace MailPipeline.Authentication.Dmarc;

/// <summary>What a receiver of mail tells a domain of what it saw in its name (RFC 7489 §7.2, appendix C).</summary>
/// <param name="Rows">What was seen, each source and way of being judged once.</param>
public sealed record DmarcReport(DmarcReportHead Head, DmarcReportPolicy Policy, IReadOnlyList<DmarcReportRow> Rows)
{
    /// <summary>Messages of rows that were not read: beyond a bound, or of a source that is no address. Of a report of ours 0.</summary>
    public long OmittedMessages { get; init; }
}

/// <summary>Who reports, and of which time.</summary>
/// <param name="Organization">For people.</param>
/// <param name="Email">The mailbox of who answers for it.</param>
/// <param name="Id">Of this report alone.</param>
/// <param name="Begin">In whole seconds.</param>
/// <param name="End">In whole seconds.</param>
public sealed record DmarcReportHead(string Organization, string Email, string Id, DateTimeOffset Begin, DateTimeOffset End)
{
    /// <summary>What went wrong, for people.</summary>
    public IReadOnlyList<string> Errors { get; init; } = [];
}

/// <summary>The record that was in force, in the words that it uses (RFC 7489 §6.3).</summary>
/// <param name="Domain">Where it was found.</param>
/// <param name="DkimAlignment">adkim: r or s.</param>
/// <param name="SpfAlignment">aspf: r or s.</param>
/// <param name="Policy">p: none, quarantine or reject.</param>
/// <param name="SubdomainPolicy">sp.</param>
/// <param name="Percent">pct.</param>
/// <param name="FailureOptions">fo.</param>
public sealed record DmarcReportPolicy(
    string Domain, string DkimAlignment, string SpfAlignment, string Policy, string SubdomainPolicy, int Percent, string FailureOptions)
{
    /// <summary>np (DMARCbis); empty: it does not say, or was not looked for.</summary>
    public string NonexistentPolicy { get; init; } = "";

    /// <summary>t: y or n (DMARCbis); empty: it was not looked for.</summary>
    public string Testing { get; init; } = "";

    /// <summary>How it was found: treewalk or psl (DMARCbis); empty: the report does not say.</summary>
    public string Discovery { get; init; } = "";
}

/// <summary>Messages from one source that were judged in one way.</summary>
public sealed record DmarcReportRow(DmarcReportSource Source, long Messages);

/// <summary>Where messages came from, in whose name, and what was found of them.</summary>
/// <param name="Address">The client's.</param>
/// <param name="Disposition">What was done: none, quarantine or reject.</param>
/// <param name="IsDkimAligned">A signature of an aligned domain is valid.</param>
/// <param name="IsSpfAligned">SPF passed for an aligned domain.</param>
/// <param name="HeaderFrom">The domain of From.</param>
/// <param name="EnvelopeFrom">The domain of the sender; empty for the null path.</param>
public sealed record DmarcReportSource(
    string Address, string Disposition, bool IsDkimAligned, bool IsSpfAligned, string HeaderFrom, string EnvelopeFrom)
{
    /// <summary>Why something else was done than the domain asks for.</summary>
    public IReadOnlyList<DmarcReportReason> Reasons { get; init; } = [];

    public IReadOnlyList<DmarcReportSignature> Dkim { get; init; } = [];

    public IReadOnlyList<DmarcReportSpf> Spf { get; init; } = [];
}

/// <param name="Type">forwarded, sampled_out, trusted_forwarder, mailing_list, local_policy, other, or policy_test_mode (DMARCbis).</param>
/// <param name="Comment">For people; empty: none.</param>
public sealed record DmarcReportReason(string Type, string Comment);

/// <param name="Domain">d=</param>
/// <param name="Selector">s=; empty where it is not said.</param>
/// <param name="Result">A word of RFC 8601.</param>
public sealed record DmarcReportSignature(string Domain, string Selector, string Result);

/// <param name="Domain">That was asked about.</param>
/// <param name="Scope">helo or mfrom.</param>
/// <param name="Result">A word of RFC 8601.</param>
public sealed record DmarcReportSpf(string Domain, string Scope, string Result);
