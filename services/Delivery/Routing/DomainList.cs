using System.ComponentModel;
using System.Globalization;

namespace MailPipeline.Delivery.Routing;

/// <summary>Something by domain, such as routes; may also be written as one text, "a=b, c=d", or as a list of such texts.</summary>
[TypeConverter(typeof(DomainListConverter))]
public sealed class DomainList : Dictionary<string, string>
{
    private sealed class DomainListConverter : TypeConverter
    {
        public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) => sourceType == typeof(string);

        public override object ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) =>
            new DomainList { ["0"] = (string)value };
    }
}
