using System.Buffers.Text;
using System.Globalization;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>Which of those that wait are looked for; what is null asks for nothing.</summary>
public sealed record QueueFilter
{
    private const string AllBelow = "*.";

    /// <summary>The domain of the recipient, or "*.example.org" for all below it.</summary>
    public string? Domain { get; init; }

    /// <summary>The reverse-path, or whose mail it is where senders take turns: an account, else a domain. "&lt;&gt;": reports.</summary>
    public string? Sender { get; init; }

    /// <summary>Where it goes, or where it was addressed before aliases.</summary>
    public string? Recipient { get; init; }

    public WaitKind? Reason { get; init; }

    /// <summary>Accepted, or let go by its sender, at least so long ago.</summary>
    public TimeSpan? Older { get; init; }

    /// <summary>Part of the last reply.</summary>
    public string? Reply { get; init; }

    internal string DomainKey => Domain is null || Below.Length > 0 ? "" : DomainName.Key(Domain);

    internal string Below => Domain?.StartsWith(AllBelow, StringComparison.Ordinal) == true ? DomainName.Key(Domain[AllBelow.Length..]) : "";

    /// <summary>Null: any. Empty: the null reverse-path.</summary>
    internal string? SenderKey => Sender is null ? null : Sender == "<>" ? "" : Sender.ToLowerInvariant();

    /// <summary>The key of a flow: what has no "@" is one.</summary>
    internal string Flow => SenderKey is { Length: > 0 } key && !key.Contains('@', StringComparison.Ordinal) ? key : "";

    /// <summary>The reverse-path; null: any.</summary>
    internal string? ReversePath => Flow.Length > 0 ? null : SenderKey;
}

/// <summary>How far a search has come. What waits changes meanwhile: of what was there all the time nothing is passed over.</summary>
public sealed record QueuePlace
{
    internal enum Section
    {
        Queued = 0,
        Held = 1,
        Unrouted = 2,

        /// <summary>Queued, of an account of that name.</summary>
        OfAccount = 3,

        /// <summary>Queued, of who did not log in, by the domain of the reverse-path.</summary>
        OfSendersDomain = 4,

        /// <summary>Queued or held, whose messages stand under the search term of the recipient or the sender.</summary>
        OfTerm = 5,
    }

    private QueuePlace(Section part, WaitingPlace place) => (Part, Place) = (part, place);

    internal Section Part { get; }

    internal WaitingPlace Place { get; }

    /// <summary>As text that a shell leaves alone.</summary>
    public override string ToString() => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(
        string.Create(CultureInfo.InvariantCulture, $"{(int)Part} {Place.NextAttemptAt} {Place.RecipientId} {Place.Domain}")));

    /// <summary>Null: it is none that was ever told.</summary>
    public static QueuePlace? Parse(string text)
    {
        try
        {
            return Encoding.UTF8.GetString(Base64Url.DecodeFromChars(text)).Split(' ', 4) is [var part, var at, var id, var domain]
                && int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var section) && Enum.IsDefined((Section)section)
                && long.TryParse(at, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var time)
                && long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var recipient)
                ? new((Section)section, new(domain, time, recipient)) : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    internal static QueuePlace Of(Section part, WaitingPlace? place = null) => new(part, place ?? WaitingPlace.Start);
}

/// <summary>
/// One search: along the indexes that there are, section by section, a page at a time, as long as its patience lasts. What it has not looked
/// through then is left to the next one.
/// </summary>
internal sealed class QueueSearch(WaitingListStore store, WaitingStore counts, WaitRulesReader reader, MailDirectory directory, TimeProvider time)
{
    /// <summary>While a setting changes, or a program, some processes of Queue do as before.</summary>
    private static readonly TimeSpan s_rollout = TimeSpan.FromHours(1);

    /// <summary>Most often the first few are what is looked for. Each page that has none of it is followed by a larger one.</summary>
    private const int FirstPage = 250;
    private const int PageGrowth = 4;

    private const int DomainsAtOnce = 1000;
    private const int UnroutedAtOnce = 1000;

    /// <summary>A command that looks for something is answered within a second, its start included.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(400);

    private readonly List<QueueEntry> _found = [];
    private readonly Queue<string> _domains = [];

    private QueueFilter _filter = new();
    private WaitingFilter _rows = new();
    private WaitingFilter _ofTerm = new();
    private string _domain = "";
    private DomainFilter? _domainsOf;
    private WaitRules? _rules;
    private long _looked;
    private int _page = FirstPage;

    public async Task<QueueListing> FindAsync(QueueFilter filter, QueuePlace? after, int most, CancellationToken cancellation)
    {
        var started = time.GetTimestamp();
        _filter = filter;
        _rules = await reader.ReadAsync(cancellation);
        _domain = filter.DomainKey.Length > 0 ? filter.DomainKey : await DomainOfRecipientAsync(cancellation);
        var sections = Plan();
        if (Term is { } term && sections.Exists(section => section != QueuePlace.Section.Unrouted))
            sections = await PlanByTermAsync(sections, term, cancellation);
        var place = after;
        while (true)
        {
            if (place is null || !sections.Contains(place.Part))
            {
                if (sections.Count == 0 || place is not null)
                    return Listing(null);
                place = QueuePlace.Of(sections[0]);
            }
            if (_found.Count >= most || (_looked > 0 && time.GetElapsedTime(started) >= s_patience))
                return Listing(place);
            var found = _found.Count;
            var next = place.Part switch
            {
                QueuePlace.Section.OfTerm => await OfTermAsync(place.Place, most - _found.Count, cancellation),
                QueuePlace.Section.Held => await HeldAsync(place.Place, most - _found.Count, cancellation),
                QueuePlace.Section.Unrouted => await UnroutedAsync(place.Place, most - _found.Count, cancellation),
                _ => await QueuedAsync(place, most - _found.Count, cancellation),
            };
            if (_found.Count == found)
                _page = Math.Min(_page * PageGrowth, WaitingListStore.Page);
            if (next is not null)
                place = QueuePlace.Of(place.Part, next);
            else if (sections.SkipWhile(section => section != place.Part).Skip(1).ToList() is [var following, ..])
                place = QueuePlace.Of(following);
            else
                return Listing(null);
            if (next is null)
                _domains.Clear();
        }
    }

    private QueueListing Listing(QueuePlace? next) => new(_found, _looked, next);

    /// <summary>An alias may lead from a domain of ours to any other: then each recipient is looked at.</summary>
    private async Task<string> DomainOfRecipientAsync(CancellationToken cancellation)
    {
        if (_filter.Recipient is not { } recipient || recipient.LastIndexOf('@') is not (>= 0 and var at))
            return "";
        var domain = DomainName.Key(recipient[(at + 1)..]);
        return await directory.FindDomainAsync(domain, cancellation) is null ? domain : "";
    }

    /// <summary>Where there may be some, and what may be asked of the index.</summary>
    private List<QueuePlace.Section> Plan()
    {
        // An address is an account, or that of somebody who did not log in, but for accounts that send under another one.
        List<QueuePlace.Section> queued = _filter.ReversePath is { Length: > 0 }
            ? [QueuePlace.Section.OfAccount, QueuePlace.Section.OfSendersDomain, QueuePlace.Section.Queued] : [QueuePlace.Section.Queued];
        _rows = new WaitingFilter(
            _filter.ReversePath, _filter.Flow, _filter.Recipient ?? "", _filter.Reply ?? "", _filter.Older is { } older ? _rules!.Now - older : null);
        _domainsOf = _filter.Below.Length > 0 || _filter.Flow.Length > 0 ? new DomainFilter(_filter.Below) : null;
        var isPaused = _rules!.AllPaused is not null;
        switch (_filter.Reason)
        {
            case null:
                return [.. queued, QueuePlace.Section.Held, QueuePlace.Section.Unrouted];
            case WaitKind.NotRouted or WaitKind.HeldBySender:
                return [QueuePlace.Section.Unrouted];
            case WaitKind.HeldBySystem:
                return [QueuePlace.Section.Held];
            case WaitKind.HeldByOperator:
                return _rules.Standing.KeepsBack && !isPaused ? [.. queued, QueuePlace.Section.Held] : [QueuePlace.Section.Held];
            case WaitKind.Suspended:
                return _rules.Standing.KeepsBack && !isPaused ? queued : [];
            case WaitKind.BeingTried:
                _rows = _rows with { IsClaimed = true };
                _domainsOf = new DomainFilter(_filter.Below, HasClaims: true);
                return queued;
            case WaitKind.Paused:
                return isPaused ? queued : [];
            case var _ when isPaused:
                return [];
            case WaitKind.NoWorker when _rules.Queue.Closed.Count == 0:
                return [];
            case WaitKind.SiteLimit or WaitKind.RateLimit when _rules.Queue.LimitedSites.Count == 0:
                return [];
            case WaitKind.BacksOff:
                _domainsOf = new DomainFilter(_filter.Below, BacksOff: true);
                return queued;
            case WaitKind.NextAttempt:
                _rows = _rows with { IsDue = false };
                _domainsOf = new DomainFilter(_filter.Below, BacksOff: false);
                return queued;
            default:
                _rows = _rows with { IsDue = true };
                _domainsOf = new DomainFilter(_filter.Below, BacksOff: false, HasClaims: _filter.Reason == WaitKind.DomainLimit, IsDue: true);
                return queued;
        }
    }

    /// <summary>
    /// What the messages stand under that are looked for; null: there is nothing of that. Of a sender there may be as many as there are in all: where a domain or a
    /// reason is named as well, the indexes of these have fewer.
    /// </summary>
    private long? Term => _filter.Recipient is { Length: > 0 } recipient ? WaitingListStore.TermOfRecipient(recipient)
        : _filter is { ReversePath: { } path, Domain: null, Reason: null } ? WaitingListStore.TermOfSender(path) : null;

    /// <summary>The few first that stand under the term. All others need be looked through only where some that wait may not stand under theirs.</summary>
    private async Task<List<QueuePlace.Section>> PlanByTermAsync(List<QueuePlace.Section> sections, long term, CancellationToken cancellation)
    {
        _ofTerm = _rows with { ExceptFlows = [] };
        // An account's mail is its own under any reverse-path; by the recipient's term it is found with the others.
        var byRecipient = _filter.Recipient is { Length: > 0 };
        if (byRecipient && _filter.ReversePath is { Length: > 0 } path)
            _ofTerm = _ofTerm with { Sender = null, AccountOrSender = path };
        List<QueuePlace.Section> first = byRecipient || !sections.Contains(QueuePlace.Section.OfAccount)
            ? [QueuePlace.Section.OfTerm] : [QueuePlace.Section.OfAccount, QueuePlace.Section.OfTerm];
        var from = _rules!.Queue.SearchableSince + s_rollout;
        if (from is not null && await counts.FindOldestSampledAsync(cancellation) >= from)
            return [.. first, .. sections.Where(section => section == QueuePlace.Section.Unrouted)];
        _rows = _rows with
        {
            ExceptTerm = term,
            AcceptedBefore = from is { } time && !(_rows.AcceptedBefore <= time) ? time : _rows.AcceptedBefore,
        };
        return [.. first, .. sections.Except(first)];
    }

    private async Task<WaitingPlace?> OfTermAsync(WaitingPlace place, int most, CancellationToken cancellation)
    {
        var account = _filter.Recipient is { Length: > 0 } ? "" : _filter.ReversePath ?? "";
        var page = await store.FindByTermAsync(
            _ofTerm, Term!.Value, _filter.DomainKey, _filter.Below, account, place, most, _rules!.Now, cancellation, _page);
        await AddAsync(page, cancellation);
        return page.Next;
    }

    private async Task<WaitingPlace?> QueuedAsync(QueuePlace at, int most, CancellationToken cancellation)
    {
        var (rows, place) = (RowsOf(at.Part), at.Place);
        if (_domain.Length == 0 && _domainsOf is null && rows.Flow.Length == 0)
        {
            var all = await store.FindQueuedAsync(rows, "", place, most, _rules!.Now, cancellation, _page);
            await AddAsync(all, cancellation);
            return all.Next;
        }
        if (_domains.Count == 0)
            await ListDomainsAsync(rows.Flow, place.Domain, cancellation);
        if (!_domains.TryPeek(out var domain))
            return null;
        // A domain that the search comes to begins before all times.
        var from = place.Domain == domain ? place : new WaitingPlace(domain, long.MinValue, 0);
        var page = await store.FindQueuedAsync(rows, domain, from, most, _rules!.Now, cancellation, _page);
        await AddAsync(page, cancellation);
        if (page.Next is { } next)
            return next;
        _domains.Dequeue();
        if (_domains.Count == 0 && _domain.Length == 0)
        {
            await ListDomainsAsync(rows.Flow, domain, cancellation);
            if (_domains.TryPeek(out var first) && first == domain)
                _domains.Dequeue();
        }
        // Also a domain in which nobody was found has been looked through.
        _looked = Math.Max(_looked, 1);
        return _domains.TryPeek(out var other) ? new WaitingPlace(other, long.MinValue, 0) : null;
    }

    /// <summary>An account's mail is its own under any reverse-path.</summary>
    private WaitingFilter RowsOf(QueuePlace.Section section)
    {
        if (_filter.ReversePath is not { Length: > 0 } path)
            return _rows;
        return section switch
        {
            // Of an account's mail nothing is left to the term of the sender.
            QueuePlace.Section.OfAccount when _filter.Recipient is not { Length: > 0 } => _ofTerm with { Sender = null, Flow = path },
            QueuePlace.Section.OfAccount => _rows with { Sender = null, Flow = path },
            QueuePlace.Section.OfSendersDomain => _rows with { Flow = FlowKey.Of("", path) },
            _ => _rows with { ExceptFlows = [path, FlowKey.Of("", path)] },
        };
    }

    private async Task ListDomainsAsync(string flow, string from, CancellationToken cancellation)
    {
        var domains = _domain.Length > 0
            ? _domainsOf?.BacksOff is { } backsOff && await reader.BacksOffAsync(_domain, _rules!.Now, cancellation) != backsOff ? [] : [_domain]
            : await store.ListDomainsAsync(_domainsOf ?? new(), flow, from, DomainsAtOnce, _rules!.Now, cancellation);
        foreach (var domain in domains)
            _domains.Enqueue(domain);
    }

    private async Task<WaitingPlace?> HeldAsync(WaitingPlace place, int most, CancellationToken cancellation)
    {
        bool? bySystem = _filter.Reason is null ? null : _filter.Reason == WaitKind.HeldBySystem;
        var page = await store.FindHeldAsync(_rows, _domain, _filter.Below, bySystem, place, most, cancellation, _page);
        await AddAsync(page, cancellation);
        return page.Next;
    }

    private async Task<WaitingPlace?> UnroutedAsync(WaitingPlace place, int most, CancellationToken cancellation)
    {
        var messages = await store.ListUnroutedAsync(place.RecipientId, UnroutedAtOnce, cancellation);
        foreach (var message in messages)
        {
            if (most == 0)
                break;
            _looked++;
            place = place with { RecipientId = message.MessageId };
            var wait = _rules!.OfUnrouted(message.ReleaseAt);
            if (!Matches(message, wait))
                continue;
            most--;
            _found.Add(new(message.MessageId, message.Sender, message.Recipients, "", message.AcceptedAt, wait, 0, null));
        }
        return most == 0 || messages.Count == UnroutedAtOnce ? place : null;
    }

    private bool Matches(UnroutedMessage message, WaitReason wait) =>
        (_filter.Reason is null || _filter.Reason == wait.Kind)
        && _rows.Reply.Length == 0
        && (_rows.AcceptedBefore is not { } before || message.AcceptedAt < before)
        && (_filter.SenderKey is not { } sender || sender.Equals(message.Sender, StringComparison.OrdinalIgnoreCase) || (sender.Length > 0 && sender == message.Flow))
        && (_filter.Recipient is not { } recipient || message.Recipients.Contains(recipient, StringComparer.OrdinalIgnoreCase))
        && (_filter.Domain is null || message.Recipients.Any(to => IsIn(MailNames.DomainOf(to))));

    private bool IsIn(string domain) => _filter.Below.Length > 0
        ? DomainName.Key(domain).EndsWith("." + _filter.Below, StringComparison.Ordinal) : DomainName.Key(domain) == _filter.DomainKey;

    private async Task AddAsync(WaitingPage page, CancellationToken cancellation)
    {
        _looked += page.Looked;
        if (page.Ids.Count == 0)
            return;
        var rows = await store.ReadAsync(page.Ids, cancellation);
        _rules = await reader.ReadAsync(
            _rules!, rows.Where(row => row.State == RecipientState.Queued && !row.Claimed).Select(row => (row.Domain, row.NextAttemptAt)), cancellation);
        var held = rows.Where(row => row.State == RecipientState.Held && row.HoldReason.Length == 0).Select(row => RecipientIds.MessageId(row.RecipientId)).ToHashSet();
        var holders = held.Count == 0 ? null : await store.FindHoldersAsync(held, cancellation);
        foreach (var row in rows)
        {
            var id = RecipientIds.MessageId(row.RecipientId);
            // It may have its outcome by now, or another reason than the index can tell.
            if (_rules.Of(row, holders?.GetValueOrDefault(id, "") ?? "") is { } wait && (_filter.Reason is null || _filter.Reason == wait.Kind))
                _found.Add(new(id, row.Sender, [row.Address], row.Domain, row.AcceptedAt, wait, row.Attempts, WaitRules.Last(row.Last)));
        }
    }
}
