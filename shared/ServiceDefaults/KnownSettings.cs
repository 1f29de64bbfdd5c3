using System.ComponentModel;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Compares what a section of configuration says with the settings its options class has. The binder passes over some of
/// what it does not know, and names the rest without the way that leads there.
/// </summary>
internal static class KnownSettings
{
    /// <summary>One line for each setting that there is not, with those there are; none when all is well.</summary>
    public static IEnumerable<string> FindUnknown(IConfigurationSection section, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (ElementOf(type, out var isList) is { } element)
            return section.GetChildren().SelectMany(child => isList && !IsNumber(child.Key) ? [NotThere(child, List(section, element))] : Look(child, element));
        if (type.IsEnum && section.Value is { Length: > 0 } named && !Enum.GetNames(type).Contains(named, StringComparer.OrdinalIgnoreCase))
            return [$"{section.Path} is '{named}'; it must be one of {string.Join(", ", Enum.GetNames(type))}"];
        if (IsText(type))
            return section.GetChildren().Select(child => NotThere(child, $"{section.Path} is a single value"));
        return section.GetChildren().SelectMany(child =>
            Array.Find(Properties(type), property => property.Name.Equals(child.Key, StringComparison.OrdinalIgnoreCase)) is { } property
                ? Look(child, property.PropertyType)
                : [NotThere(child, Group(section, type))]);
    }

    private static IEnumerable<string> Look(IConfigurationSection section, Type type)
    {
        if (section.Value is { Length: > 0 } value && !IsText(Nullable.GetUnderlyingType(type) ?? type))
            return [$"{section.Path} is '{value}', but it is no single value; {(ElementOf(type, out _) is { } element ? List(section, element) : Group(section, type))}"];
        return FindUnknown(section, type);
    }

    private static string NotThere(IConfigurationSection section, string what) => $"There is no setting '{section.Path}'; {what}";

    private static string Group(IConfigurationSection section, Type type) =>
        $"{section.Path} has {string.Join(", ", Properties(type).Select(property => property.Name))}";

    private static string List(IConfigurationSection section, Type element) =>
        $"{section.Path} is a list, its entries are {section.Path}:0{(IsText(element) ? "" : ":" + Properties(element)[0].Name)} and so on";

    private static bool IsNumber(string key) => int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private static bool IsText(Type type) => TypeDescriptor.GetConverter(type).CanConvertFrom(typeof(string));

    private static PropertyInfo[] Properties(Type type) =>
        Array.FindAll(type.GetProperties(BindingFlags.Public | BindingFlags.Instance), property => property.SetMethod is { IsPublic: true });

    /// <summary>What a list, or a dictionary by name, consists of; null when it is neither.</summary>
    private static Type? ElementOf(Type type, out bool isList)
    {
        isList = false;
        if (type == typeof(string))
            return null;
        Type[] interfaces = type.IsInterface ? [type, .. type.GetInterfaces()] : type.GetInterfaces();
        if (Of(typeof(IDictionary<,>)) is [_, var value])
            return value;
        isList = true;
        return Of(typeof(IEnumerable<>)) is [var element] ? element : null;

        Type[]? Of(Type generic) =>
            Array.Find(interfaces, found => found.IsGenericType && found.GetGenericTypeDefinition() == generic)?.GetGenericArguments();
    }
}
