using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>What the router made of one accepted message: every recipient after aliases, each exactly once.</summary>
/// <param name="MayBeReport">It is to an address for reports by DMARC: somebody looks whether it is one, of a held one once it is released.</param>
/// <param name="IsSearchable">Operators find it by its addresses and its Message-ID.</param>
/// <param name="MayBeFeedback">The same of an address for complaints.</param>
public sealed record RoutedMessage(
    Envelope Message, IReadOnlyList<RoutedRecipient> Recipients, bool MayBeReport = false, bool IsSearchable = false, bool MayBeFeedback = false);

/// <param name="Address">Where it goes, after aliases.</param>
/// <param name="Original">The address given at RCPT when an alias changed it, else empty.</param>
/// <param name="Domain">Name of the domain queue: the address's domain, lower case.</param>
/// <param name="Dsn">What its sender wants to be told of it; null where the envelope says nothing about reports.</param>
/// <param name="IsExpanded">An alias that led on to others, who are recipients beside it: nobody is delivered to here.</param>
/// <param name="ReturnPath">The sender that its hosts are given; empty: that of the envelope.</param>
public sealed record RoutedRecipient(
    string Address, string Original, string Domain, RecipientRoute Route, RcptDsn? Dsn = null, bool IsExpanded = false, string ReturnPath = "")
{
    /// <summary>What his sender's suppression list says of him: he is not tried, and ends as he begins. Null: nothing.</summary>
    public Suppression? Suppression { get; init; }

    /// <summary>It has what most recipients have not.</summary>
    internal bool IsNoted => Dsn is not null || ReturnPath.Length > 0;
}
