using System.ComponentModel;
using System.Globalization;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress;

/// <summary>
/// The listeners that a setting is about: all of a kind, and single ones by their names, written with commas or spaces between them. A word that
/// means a kind means all of the kind, also where a listener has it as its name.
/// </summary>
[TypeConverter(typeof(ListenerSetConverter))]
public sealed class ListenerSet
{
    private readonly string _text;
    private readonly ListenerKinds _kinds;
    private readonly string[] _names;

    private ListenerSet(string text, ListenerKinds kinds, string[] names) => (_text, _kinds, _names) = (text, kinds, names);

    /// <summary>No listener is among them.</summary>
    internal bool IsNone => _kinds == ListenerKinds.None && _names.Length == 0;

    public static implicit operator ListenerSet(ListenerKinds kinds) => new($"{kinds}", kinds, []);

    public static ListenerSet operator |(ListenerSet one, ListenerSet other) =>
        new($"{one}, {other}", one._kinds | other._kinds, [.. one._names, .. other._names]);

    public override string ToString() => _text;

    internal static ListenerSet Parse(string text)
    {
        var words = TextList.Split(text);
        var kinds = ListenerKinds.None;
        foreach (var word in words.Where(IsKind))
            kinds |= Enum.Parse<ListenerKinds>(word, ignoreCase: true);
        return new ListenerSet(text, kinds, [.. words.Where(word => !IsKind(word))]);
    }

    internal static ListenerKinds KindsOf(ListenerKind kind) => kind switch
    {
        ListenerKind.Submission => ListenerKinds.Submission,
        ListenerKind.Lmtp => ListenerKinds.Lmtp,
        _ => ListenerKinds.Mx,
    };

    internal bool Has(ListenerOptions listener) => Has(KindsOf(listener.Kind), listener.NameOrDefault);

    /// <param name="name">Of a listener.</param>
    internal bool Has(ListenerKinds kind, string name) => (_kinds & kind) != ListenerKinds.None || Names(name);

    /// <summary>The listener is among them by its name, and not only by its kind.</summary>
    internal bool Names(string name) => _names.Length > 0 && _names.Contains(name, StringComparer.OrdinalIgnoreCase);

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        string[] named =
        [
            .. listeners.Select(listener => listener.NameOrDefault).Where(name => !IsKind(name) && TextList.Split(name).Length == 1)
                .Distinct(StringComparer.OrdinalIgnoreCase),
        ];
        if (TextList.Split(_text).Length == 0 || Array.Exists(_names, name => !named.Contains(name, StringComparer.OrdinalIgnoreCase)))
        {
            failures.Add(
                $"{setting} is '{_text}'; it must be one or more of {string.Join(", ", Enum.GetNames<ListenerKinds>().Concat(named))} (kinds of listeners, and names as of Ingress:Listeners:N:Name)");
        }
    }

    // No numbers, which Enum.TryParse takes: who writes one means the Nth listener.
    private static bool IsKind(string word) => Enum.GetNames<ListenerKinds>().Contains(word, StringComparer.OrdinalIgnoreCase);

    private sealed class ListenerSetConverter : TypeConverter
    {
        public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) => sourceType == typeof(string);

        public override object ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) => Parse((string)value);
    }
}

/// <summary>Kinds of listeners.</summary>
[Flags]
public enum ListenerKinds
{
    None = 0,

    /// <summary>Those for other mail servers.</summary>
    Mx = 1,

    /// <summary>Those for our users.</summary>
    Submission = 2,

    /// <summary>Those for servers of ours that hand mail in to maildrops.</summary>
    Lmtp = 4,

    All = Mx | Submission | Lmtp,
}
