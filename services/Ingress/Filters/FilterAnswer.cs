using System.Text;
using MailPipeline.Ingress.Headers;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Filters;

/// <summary>What a filter says of a step.</summary>
internal enum FilterVerdict
{
    GoOn,

    /// <summary>It wants to see no more of the message; of the connection, where it says that before MAIL.</summary>
    Accept,

    /// <summary>It wants to see no more of the body.</summary>
    Skip,

    /// <summary>What is proposed is refused with a reply.</summary>
    Refuse,

    /// <summary>The client is to hear that it was taken, and nobody is to get it.</summary>
    Discard,
}

/// <param name="Reply">Of a refusal.</param>
internal sealed record FilterAnswer(FilterVerdict Verdict, SmtpReply? Reply = null)
{
    public static readonly FilterAnswer GoOn = new(FilterVerdict.GoOn);

    /// <summary>In metrics.</summary>
    public string Name => Verdict switch
    {
        FilterVerdict.Refuse => Reply?.IsTemporaryFailure == true ? "defer" : "refuse",
        FilterVerdict.Discard => "discard",
        FilterVerdict.Accept => "accept",
        _ => "go_on",
    };

    public static FilterAnswer Refusing(SmtpReply reply) => new(FilterVerdict.Refuse, reply);
}

/// <summary>
/// What filters want changed of one message. Fields go in front of it; a change of a field that came with it is passed over and counted, unless
/// the operator lets the filter do that.
/// Bounded: what one filter may add is as much as can stand in front of a message.
/// </summary>
internal sealed class FilterChanges
{
    /// <summary>A part of what may stand in front of a message, so that its other fields have room.</summary>
    private const int MaxFieldBytes = MessagePrefix.MaxBytes / 4;

    private const int MaxRecipients = 1000;

    private List<(string Name, string Value)> _onTop = [];
    private List<(string Name, string Value)> _added = [];
    private List<FieldChange> _changed = [];
    private List<SmtpAddress> _addedRecipients = [];
    private HashSet<string> _removedRecipients = new(StringComparer.OrdinalIgnoreCase);
    private int _fieldBytes;

    /// <summary>A copy for one filter, whose changes count once its last answer is there (<see cref="Take"/>): half of them could lose a recipient.</summary>
    public FilterChanges Draft() => new()
    {
        _onTop = [.. _onTop],
        _added = [.. _added],
        _changed = [.. _changed],
        _addedRecipients = [.. _addedRecipients],
        _removedRecipients = new(_removedRecipients, StringComparer.OrdinalIgnoreCase),
        _fieldBytes = _fieldBytes,
        HoldReason = HoldReason,
        PassedOver = PassedOver,
    };

    /// <summary>They are what the draft has become.</summary>
    public void Take(FilterChanges draft)
    {
        (_onTop, _added, _changed, _addedRecipients, _removedRecipients) = (draft._onTop, draft._added, draft._changed, draft._addedRecipients, draft._removedRecipients);
        (_fieldBytes, HoldReason, PassedOver) = (draft._fieldBytes, draft.HoldReason, draft.PassedOver);
    }

    public string HoldReason { get; private set; } = "";

    /// <summary>Changes that were wanted and not made.</summary>
    public int PassedOver { get; private set; }

    public IReadOnlyList<SmtpAddress> AddedRecipients => _addedRecipients;

    public IReadOnlySet<string> RemovedRecipients => _removedRecipients;

    /// <summary>Fields, folded ones with their line ends within, in the order in which each is put in front of what is there.</summary>
    public IEnumerable<(string Name, string Value)> Fields => _added.AsEnumerable().Reverse().Concat(_onTop);

    /// <exception cref="MilterFaultException">It is no field, or too much.</exception>
    public void AddField(string name, string value, bool isOnTop)
    {
        // A line of a value ends in LF or CRLF, and the next one begins with white space.
        value = Folded(value);
        Require(name, value);
        (isOnTop ? _onTop : _added).Add((name, value));
    }

    /// <summary>Changes of fields that came with the message, in their order.</summary>
    public IReadOnlyList<FieldChange> ChangedFields => _changed;

    /// <summary>
    /// A field that came with the message is to have another value, or, with none, to be gone; one that is not there is to be added, as rspamd marks
    /// spam.
    /// </summary>
    /// <param name="isAllowed">
    /// By the operator; else bytes that came stay as they came, and a field that may be there more than once is put in front.
    /// </param>
    public void ChangeField(string name, uint place, string value, bool isAllowed)
    {
        var change = new FieldChange(name, place, Folded(value));
        if (!isAllowed && change is { Value.Length: > 0, IsOnceOnly: false })
        {
            AddField(name, value, isOnTop: true);
            return;
        }

        if (!isAllowed)
        {
            PassedOver++;
            return;
        }

        Require(name, change.Value);
        _changed.Add(change);
    }

    private static string Folded(string value) =>
        value.Replace("\r\n", "\n", StringComparison.Ordinal).TrimStart(' ').TrimEnd('\n', ' ', '\t').Replace("\n", "\r\n", StringComparison.Ordinal);

    private void Require(string name, string value)
    {
        var field = Encoding.UTF8.GetBytes($"{name}: {value}\r\n");
        if (!MessagePrefix.AreWhole(field))
            throw new MilterFaultException($"it adds a field that is none ('{PlainText.Ascii(PlainText.Cut(name, 40))}')");
        _fieldBytes += field.Length;
        if (_fieldBytes > MaxFieldBytes)
            throw new MilterFaultException($"it adds fields of more than {MaxFieldBytes} octets");
    }

    public void AddRecipient(string path)
    {
        if (!SmtpAddress.TryParse(path.Trim().TrimStart('<').TrimEnd('>'), out var address, allowUtf8: true) || !address!.HasDomain)
            throw new MilterFaultException("it adds a recipient that is no address");
        if (_addedRecipients.Count >= MaxRecipients)
            throw new MilterFaultException($"it adds more than {MaxRecipients} recipients");
        _removedRecipients.Remove(address.Canonical);
        _addedRecipients.Add(address);
    }

    public void RemoveRecipient(string path)
    {
        if (!SmtpAddress.TryParse(path.Trim().TrimStart('<').TrimEnd('>'), out var address, allowUtf8: true))
            throw new MilterFaultException("it removes a recipient that is no address");
        if (_removedRecipients.Count >= 100 * MaxRecipients)
            throw new MilterFaultException("it removes recipients without end");
        _addedRecipients.RemoveAll(added => added.Canonical.Equals(address!.Canonical, StringComparison.OrdinalIgnoreCase));
        _removedRecipients.Add(address!.Canonical);
    }

    public void Hold(string filter, string reason)
    {
        if (HoldReason.Length == 0)
            HoldReason = $"filter {filter}: {PlainText.Cut(PlainText.Of(reason), 200)}";
    }
}
