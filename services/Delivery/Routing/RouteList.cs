using System.ComponentModel;
using System.Globalization;

namespace MailPipeline.Delivery.Routing;

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
