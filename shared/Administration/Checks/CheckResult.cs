using MailPipeline.Authentication;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Authentication.Spf;
using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>The answer to a question about what is published, or about a message: one of the records in this file, and of no others.</summary>
public abstract record CheckResult
{
    private protected CheckResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

/// <summary>May this client use these names?</summary>
/// <param name="Steps">How the first answer came.</param>
/// <param name="HeloSteps">How the second one came; none where it is the first.</param>
public sealed record SenderChecked(SpfResult MailFrom, SpfResult Helo, IReadOnlyList<SpfStep> Steps, IReadOnlyList<SpfStep> HeloSteps) : CheckResult(ActStatus.Done);

/// <summary>Is the message from whom it says?</summary>
/// <param name="Field">What a listener would put in front of it.</param>
/// <param name="Sender">What was asked about the client.</param>
/// <param name="UnjudgedSignatures">DKIM signatures beyond the bound.</param>
/// <param name="Authors">Whom From names.</param>
/// <param name="DmarcSteps">How the policy was found.</param>
public sealed record MessageChecked(
    MessageResults Results, AuthenticationResults Field, SenderChecked Sender, int UnjudgedSignatures, AuthorDomains Authors, IReadOnlyList<string> DmarcSteps)
    : CheckResult(ActStatus.Done);

/// <summary>What a domain publishes, against what is needed.</summary>
public sealed record DomainChecked(string Domain, IReadOnlyList<PublishedItem> Items) : CheckResult(ActStatus.Done);

/// <summary>Which Public Suffix List it is.</summary>
/// <param name="File">Empty: the one that is built in.</param>
/// <param name="Of">Of which day it is.</param>
public sealed record SuffixListFound(string File, DateOnly Of, int Rules) : CheckResult(ActStatus.Done);

/// <summary>A newer list is in the file.</summary>
public sealed record SuffixListRenewed(string File, int Rules, string From) : CheckResult(ActStatus.Done);

/// <summary>No list came, or what came is none; the file is as it was.</summary>
/// <param name="Detail">Seconds, the code of the status, or what is wrong, as the cause has it.</param>
public sealed record SuffixListNotRenewed(string File, string From, NotRenewedCause Cause, string Detail) : CheckResult(ActStatus.NotDone);

/// <summary>Why no list came.</summary>
public enum NotRenewedCause
{
    /// <summary>The server gave no answer in so many seconds.</summary>
    NoAnswer,

    /// <summary>It answered with a status that is no success.</summary>
    Status,

    /// <summary>It could not be asked.</summary>
    Unreachable,

    /// <summary>What came is no list.</summary>
    NoList,
}

/// <summary>What a report by DMARC says.</summary>
public sealed record DmarcReportShown(DmarcReport Report) : CheckResult(ActStatus.Done);

/// <summary>The file is none that can be used.</summary>
public sealed record FileUnusable(string File, string Reason) : CheckResult(ActStatus.NotDone);

/// <summary>What was typed makes no sense.</summary>
public sealed record CheckMistyped(CheckedThing Thing, string Typed) : CheckResult(ActStatus.Refused);

/// <summary>What a question is about.</summary>
public enum CheckedThing
{
    Client,
    Sender,
    Domain,
    Source,
}

/// <summary>What is published under one name, or should be.</summary>
/// <param name="Name">Where.</param>
/// <param name="Found">As it is there.</param>
/// <param name="Remarks">What is to be said of it.</param>
/// <param name="Publish">The records that would be right, as in a zone file; none where nothing is to be done.</param>
public sealed record PublishedItem(
    PublishedKind Kind, string Name, PublishedState State, IReadOnlyList<string> Found, IReadOnlyList<PublishedRemark> Remarks, IReadOnlyList<string> Publish);

/// <summary>A policy of the queue in a file, which says nothing that is not allowed.</summary>
/// <param name="Idle">Entries that never count, because one before them fits whatever they fit and says all that they say.</param>
public sealed record QueuePolicyChecked(string File, QueuePolicyOptions Policy, IReadOnlyList<IdleEntry> Idle) : CheckResult(ActStatus.Done);

/// <summary>Queue would not take the file.</summary>
/// <param name="Faults">Each with the name of its setting, and what is allowed.</param>
public sealed record QueuePolicyFaulty(string File, IReadOnlyList<string> Faults) : CheckResult(ActStatus.NotDone);

/// <param name="Setting">The entry: "Policy:Destinations:3".</param>
/// <param name="By">The one before it.</param>
public sealed record IdleEntry(string Setting, string By);

public enum PublishedKind
{
    Mx,
    Address,
    ReverseName,
    Spf,
    SpfOfHost,
    Dkim,
    Dmarc,
    DmarcReports,
    MtaSts,
    MtaStsPolicy,
    TlsReports,
    Tlsa,

    /// <summary>MX of the domain under which forwarded mail leaves (SRS): what could not be delivered comes back there.</summary>
    ForwardedMx,

    /// <summary>SPF of that domain.</summary>
    ForwardedSpf,
}

public enum PublishedState
{
    Ok,

    /// <summary>It is there, and mail suffers from how it is.</summary>
    Wrong,

    /// <summary>It is not there.</summary>
    Missing,

    /// <summary>DNS gave no answer.</summary>
    Unknown,
}
