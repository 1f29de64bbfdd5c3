using System.ComponentModel;
using System.Globalization;

namespace MailPipeline.Delivery;

/// <summary>A list that may also be written as one text, "a, b", which fits into an environment variable.</summary>
[TypeConverter(typeof(TextListConverter))]
public sealed class TextList : List<string>
{
    private static readonly char[] s_separators = [',', ';', ' ', '\t', '\r', '\n'];

    internal static string[] Split(string text) => text.Split(s_separators, StringSplitOptions.RemoveEmptyEntries);

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

/// <summary>Routes by domain; may also be written as one text, "a=b, c=d", or as a list of such texts. <see cref="RouteTable"/> reads it.</summary>
[TypeConverter(typeof(RouteListConverter))]
public sealed class RouteList : Dictionary<string, string>
{
    private sealed class RouteListConverter : TypeConverter
    {
        public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) => sourceType == typeof(string);

        public override object ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) =>
            new RouteList { ["0"] = (string)value };
    }
}
