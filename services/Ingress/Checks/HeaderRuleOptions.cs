using System.Text;
using System.Text.RegularExpressions;
using MailPipeline.Mail;

namespace MailPipeline.Ingress.Checks;

/// <summary>The operator's rules about header fields. Section "Ingress:Checks:HeaderRules".</summary>
public sealed class HeaderRuleOptions
{
    /// <summary>
    /// Most octets of the fields that all rules together put in front of one message. The rest of a prefix is for our trace field, for what a
    /// submission lacks, and for the tags of other checks.
    /// </summary>
    internal const int MaxAddedBytes = MessagePrefix.MaxBytes / 4;

    /// <summary>The listeners on which they are asked. Default All.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.All;

    /// <summary>In their order. Default: none.</summary>
    public IList<HeaderRule> Rules { get; init; } = [];

    internal ListenerSet AskedOn => Rules.Count > 0 ? Listeners : ListenerKinds.None;

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        for (var i = 0; i < Rules.Count; i++)
            Rules[i].Validate($"{setting}:Rules:{i}", failures);
        // Each rule may be about the same message.
        var added = Rules.Sum(rule => rule.Added is { } field ? Encoding.UTF8.GetByteCount(field.ToString()) + 2 : 0);
        if (added > MaxAddedBytes)
            failures.Add($"{setting}:Rules add {added} octets of fields to a message that all of them are about; they may add {MaxAddedBytes}");
    }
}

/// <summary>A message with such a field is refused, held or tagged. Section "Ingress:Checks:HeaderRules:Rules:N".</summary>
public sealed partial class HeaderRule
{
    /// <summary>What the rule is called: the reason why a message is held, its tag, or in the log why it was refused. Letters, digits and -._, up to 40.</summary>
    public string Name { get; set; } = "";

    /// <summary>The name of the field, without its colon, in any case of letters.</summary>
    public string Field { get; set; } = "";

    /// <summary>
    /// What stands in the field, in any case of letters, as it was sent: encoded words (RFC 2047) are not decoded. Default empty: it is enough
    /// that the field is there.
    /// </summary>
    public string Contains { get; set; } = "";

    /// <summary>What becomes of the message.</summary>
    public HeaderVerdict? Verdict { get; set; }

    /// <summary>
    /// A field that is put in front of a message that is held or tagged, "Name: value". Default: of one that is tagged
    /// "X-MailPipeline-Tag: NAME"; empty: none.
    /// </summary>
    public string? AddField { get; set; }

    internal HeaderField? Added
    {
        get
        {
            if (AddField is null)
                return Verdict == HeaderVerdict.Tag ? HeaderField.OfTag(Name) : null;
            var colon = AddField.IndexOf(':', StringComparison.Ordinal);
            return colon < 0 ? null : new HeaderField(AddField[..colon], AddField[(colon + 1)..].Trim());
        }
    }

    internal void Validate(string setting, List<string> failures)
    {
        if (!RuleName().IsMatch(Name))
            failures.Add($"{setting}:Name is '{Name}'; it must be 1 to 40 letters, digits, '-', '.' and '_'");
        if (!FieldName().IsMatch(Field))
            failures.Add($"{setting}:Field is '{Field}'; it must be the name of a header field such as Subject");
        if (Verdict is not { } verdict)
            failures.Add($"{setting}:Verdict is not set; it must be one of {string.Join(", ", Enum.GetNames<HeaderVerdict>())}");
        else if (!Enum.IsDefined(verdict))
            failures.Add($"{setting}:Verdict is {verdict}; it must be one of {string.Join(", ", Enum.GetNames<HeaderVerdict>())}");
        if (AddField is { Length: > 0 } && (Added is not { } added || !IsPlainField(added.ToString())))
            failures.Add($"{setting}:AddField is '{AddField}'; it must be one line such as 'X-Spam-Flag: YES', of printable ASCII and tabs, of at most {MessagePrefix.MaxLineBytes} octets");
        if (AddField is { Length: > 0 } && Verdict == HeaderVerdict.Refuse)
            failures.Add($"{setting}:AddField is set; a message that is refused gets no field");
    }

    // As it stands in front of a message. Beyond ASCII it would make 8BITMIME content of what was none (RFC 6152).
    private static bool IsPlainField(string field) =>
        MessagePrefix.IsField(field) && field.All(letter => letter is (>= ' ' and <= '~') or '\t');

    [GeneratedRegex(@"^[A-Za-z0-9._-]{1,40}\z")]
    private static partial Regex RuleName();

    // RFC 5322 §3.6.8
    [GeneratedRegex(@"^[!-9;-~]{1,100}\z")]
    private static partial Regex FieldName();
}

/// <summary>What becomes of a message that a rule is about.</summary>
public enum HeaderVerdict
{
    /// <summary>550 5.7.1 to its content.</summary>
    Refuse,

    /// <summary>It is accepted, and its recipients wait for an operator.</summary>
    Hold,

    /// <summary>It is accepted and delivered, and has the rule's name in its history, in the log and in front of its header.</summary>
    Tag,
}
