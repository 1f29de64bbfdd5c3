using MailPipeline.Administration;
using MailPipeline.Mail;

namespace MailPipeline.Console.Api;

/// <param name="Id">As it stands in the reply to its last dot.</param>
/// <param name="HeaderId">Its field Message-ID, without brackets.</param>
/// <param name="Recipients">How many there are in each state; none before it is routed. Null where others of them are none of the caller's business.</param>
internal sealed record MessageSummaryView(
    string Id, DateTimeOffset AcceptedAt, string Sender, string HeaderId, long SizeBytes, IReadOnlyDictionary<string, int>? Recipients)
{
    public static MessageSummaryView Of(MessageSummary message, bool withOthers) => new(
        MessageIds.ToText(message.MessageId), message.AcceptedAt, message.Sender, message.HeaderId, message.SizeBytes,
        withOthers ? message.Recipients.ToDictionary(state => Words.Of(state.Key), state => state.Value) : null);
}

/// <param name="Envelope">The recipients as accepted, while it is not routed.</param>
/// <param name="HoldReason">Why its recipients were held from the start.</param>
/// <param name="ReleaseAt">Before this time its sender does not want it to leave (RFC 4865).</param>
/// <param name="Wait">Why the whole message waits, before it is routed.</param>
/// <param name="Acts">What operators did to it.</param>
/// <param name="Reports">What its sender has been told of it.</param>
internal sealed record MessageView(
    string Id, DateTimeOffset AcceptedAt, string Sender, string HeaderId, long SizeBytes, IReadOnlyList<string> Tags, IReadOnlyList<string> Envelope, string HoldReason,
    DateTimeOffset? ReleaseAt, WaitView? Wait, IReadOnlyList<RecipientView> Recipients, IReadOnlyList<ActView> Acts, IReadOnlyList<ReportView> Reports)
{
    public static MessageView Of(MessageFound found)
    {
        var message = found.Message;
        return new(
            MessageIds.ToText(message.MessageId), message.AcceptedAt, message.Sender, message.HeaderId, message.SizeBytes, message.Tags, message.Envelope,
            message.HoldReason, message.ReleaseAt, WaitView.Of(found.Wait), [.. found.Recipients.Select(RecipientView.Of)],
            [.. message.Audit.Select(ActView.Of)], [.. message.Reports.Select(ReportView.Of)]);
    }

    /// <summary>What of it is his business to whom not all of its recipients belong.</summary>
    /// <param name="isHis">Whether a recipient's address is; of others he is told nothing, nor what operators and other mail have to do with it.</param>
    public static MessageView OfSome(MessageFound found, Func<string, bool> isHis)
    {
        var message = found.Message;
        return new(
            MessageIds.ToText(message.MessageId), message.AcceptedAt, message.Sender, message.HeaderId, message.SizeBytes, [], [.. message.Envelope.Where(isHis)],
            "", message.ReleaseAt, WaitView.OfSome(found.Wait),
            [.. found.Recipients.Where(recipient => isHis(recipient.Timeline.Address) || isHis(recipient.Timeline.Original)).Select(recipient => RecipientView.OfSome(recipient, isHis))],
            [], []);
    }
}

/// <param name="Original">What was written before an alias; empty where it is the same.</param>
/// <param name="ReturnPath">The sender that its hosts are given, where that is not the message's; else empty.</param>
/// <param name="Route">local: a maildrop here; remote: another system.</param>
/// <param name="Wait">Null: it has its outcome.</param>
internal sealed record RecipientView(
    string Address, string Original, string Domain, string Site, string ReturnPath, string Route, string State, DateTimeOffset UpdatedAt, WaitView? Wait,
    IReadOnlyList<AttemptView> Attempts)
{
    public static RecipientView Of(TracedRecipient traced)
    {
        var recipient = traced.Timeline;
        return new(
            recipient.Address, recipient.Original, recipient.Domain, recipient.Site, recipient.ReturnPath, Words.Of(recipient.Route), Words.Of(recipient.State),
            recipient.UpdatedAt, WaitView.Of(traced.Wait), [.. recipient.Attempts.Select(AttemptView.Of)]);
    }

    /// <summary>Where an alias of his leads on to others, where it goes and how is theirs; and which alias of theirs led here.</summary>
    public static RecipientView OfSome(TracedRecipient traced, Func<string, bool> isHis)
    {
        var recipient = traced.Timeline;
        return isHis(recipient.Address)
            ? Of(traced) with
            {
                Original = isHis(recipient.Original) ? recipient.Original : "", ReturnPath = "", Wait = WaitView.OfSome(traced.Wait),
                Attempts = [.. recipient.Attempts.Select(attempt => AttemptView.Of(attempt) with { Worker = "" })],
            }
            : new(recipient.Original, "", "", "", "", "", Words.Of(recipient.State), recipient.UpdatedAt, null, []);
    }
}

/// <param name="Status">RFC 3463.</param>
/// <param name="ReplyClass">What the reply was about, where it did not deliver.</param>
/// <param name="Worker">The process that made it, and the address it spoke from.</param>
internal sealed record AttemptView(
    string Outcome, string Status, string Reply, string ReplyClass, string Host, DateTimeOffset StartedAt, DateTimeOffset FinishedAt, string Worker, TlsView? Tls)
{
    public static AttemptView Of(AttemptResult attempt) => new(
        Words.Of(attempt.Outcome), attempt.Status, attempt.Reply, Words.Of(attempt.Class), attempt.RemoteHost, attempt.StartedAt, attempt.FinishedAt, attempt.Worker,
        attempt.Tls is { } tls ? new TlsView(tls.Policy, tls.Source, tls.Certificate, tls.Protocol, tls.Cipher) : null);
}

/// <summary>Under which TLS an attempt was made, and why; "-": none was seen.</summary>
internal sealed record TlsView(string Policy, string Source, string Certificate, string Protocol, string Cipher);

/// <summary>Why something waits: the reason, who ends it, and when, where a time is set. Which of the others are there depends on the reason.</summary>
internal sealed record WaitView(string Reason, string Owner, DateTimeOffset? Until)
{
    /// <summary>What the last attempt came to.</summary>
    public LastAttempt? After { get; init; }

    /// <summary>The site whose limit it is.</summary>
    public string? Site { get; init; }

    /// <summary>The sender whose rate it is: an account, a domain, empty for reports.</summary>
    public string? Sender { get; init; }

    /// <summary>How many connections or batches are under way.</summary>
    public long? UnderWay { get; init; }

    /// <summary>The endpoint of the bus that nobody takes batches from.</summary>
    public string? Endpoint { get; init; }

    public DateTimeOffset? Since { get; init; }

    /// <summary>Who paused or holds it.</summary>
    public string? By { get; init; }

    /// <summary>Why it is held, or what went wrong.</summary>
    public string? Cause { get; init; }

    /// <summary>Without who does it and what it has to do with the mail of others.</summary>
    public static WaitView? OfSome(WaitReason? wait) =>
        wait is null ? null : new WaitView(WaitWords.Of(wait.Kind), Words.Of(wait.Owner), wait.Until) { After = (wait as NextAttempt)?.After };

    public static WaitView? Of(WaitReason? wait)
    {
        if (wait is null)
            return null;
        var view = new WaitView(WaitWords.Of(wait.Kind), Words.Of(wait.Owner), wait.Until);
        return wait switch
        {
            NextAttempt next => view with { After = next.After },
            DomainLimit limit => view with { UnderWay = limit.Batches },
            SiteLimit limit => view with { Site = limit.Site, UnderWay = limit.Connections },
            RateLimit limit => view with { Site = limit.Site.Length > 0 ? limit.Site : null, Sender = limit.Sender },
            NoWorker missing => view with { Endpoint = missing.Endpoint, Since = missing.Since },
            BacksOff backsOff => view with { Cause = backsOff.Cause },
            Paused paused => view with { Since = paused.Since, By = paused.Operator },
            // Why the operator has made it is his own affair.
            HeldByOperator { Rule.Length: > 0 } held => view with { Since = held.Since, By = held.Operator, Cause = $"rule {held.Rule}" },
            HeldByOperator held => view with { Since = held.Since, By = held.Operator },
            Suspended suspended => view with { Since = suspended.Since, By = suspended.Operator, Cause = $"rule {suspended.Rule}" },
            HeldBySystem held => view with { Since = held.Since, Cause = held.Cause },
            _ => view,
        };
    }
}

/// <summary>What an operator did.</summary>
/// <param name="Recipients">How many it was done to, where it was done to a message; else 0.</param>
internal sealed record ActView(DateTimeOffset At, string Operator, string Host, string Action, string Subject, int Recipients)
{
    public static ActView Of(AuditEntry entry) => new(entry.At, entry.Operator, entry.Host, Words.Of(entry.Action), entry.Subject, entry.Recipients);
}

/// <param name="Id">Of the report, which is a message; empty where none was made.</param>
/// <param name="IsDropped">The sender had been told too much lately.</param>
internal sealed record ReportView(string Id, string Kind, int Recipients, DateTimeOffset MadeAt, bool IsDropped)
{
    public static ReportView Of(ReportMade report) =>
        new(report.IsDropped ? "" : MessageIds.ToText(report.ReportId), Words.Of(report.Kind), report.Recipients, report.MadeAt, report.IsDropped);
}

/// <param name="Recipients">Those that were changed.</param>
/// <param name="BeingTried">Those that were left alone, as a worker tries them; the change can be repeated.</param>
internal sealed record MessageChangeView(string Id, string Action, int Recipients, int BeingTried);
