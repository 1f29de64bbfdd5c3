using System.ComponentModel;
using System.Globalization;

namespace MailPipeline.ServiceDefaults;

/// <summary>A list that may also be written as one text, "a, b", which fits into an environment variable.</summary>
[TypeConverter(typeof(TextListConverter))]
public sealed class TextList : List<string>
{
    private static readonly char[] s_separators = [',', ';', ' ', '\t', '\r', '\n'];

    /// <summary>Its entries: between commas, semicolons and white space.</summary>
    public static string[] Split(string text) => text.Split(s_separators, StringSplitOptions.RemoveEmptyEntries);

    private sealed class TextListConverter : TypeConverter
    {
        public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) => sourceType == typeof(string);

        public override object ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value)
        {
            var list = new TextList();
            list.AddRange(Split((string)value));
            return list;
        }
    }
}
